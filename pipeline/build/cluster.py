"""Ray: joining a cluster or starting one on this machine, and how a build's pools of workers share it."""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from manifests.errors import RequestError
from pipeline.recipe import StageSpec
from pipeline.signals import reclaim_sigterm
from stages.base import Resources


def start_ray(workers: int | None) -> None:
    """Join the cluster that RAY_ADDRESS names, as in a submitted job, or start one of our own on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    from ray.data import DataContext

    # Our own progress is shown instead of Ray's, and errors reach the user as one sentence.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []
    context.target_max_block_size = None  # a block is a shard, and stays one
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if ray.is_initialized():
        return
    with _native_stderr_closed():
        if os.environ.get("RAY_ADDRESS"):
            ray.init(**quiet)
        else:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
    reclaim_sigterm()


@contextlib.contextmanager
def _native_stderr_closed() -> Iterator[None]:
    """Ray's core says on standard error which log level it was given, whatever the level; what Python prints is seen."""
    before, kept = sys.stderr, os.dup(2)
    with open(os.devnull, "wb") as nothing, open(os.dup(kept), "w", buffering=1) as sys.stderr:
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            sys.stderr = before


@dataclass(frozen=True, slots=True)
class Pool:
    """Neighboring stages that run fused in one process, in `size` processes that claim `cpus` and `gpus` each."""

    specs: tuple[StageSpec, ...]
    size: int
    cpus: float
    gpus: float


def fused(specs: Sequence[StageSpec]) -> list[tuple[StageSpec, ...]]:
    """Neighbors that need the same run in one process, so that records need not travel between them."""
    return [tuple(group) for _, group in groupby(specs, key=lambda spec: _needs(spec.resources))]


def _needs(resources: Resources) -> tuple[float, float, int | None]:
    return resources.cpus, resources.gpus, resources.concurrency


def pools(specs: Sequence[StageSpec], cpus: float, gpus: float, workers: int, shards: int) -> list[Pool]:
    """Share a cluster's cores and GPUs out over the pools, so that all their workers fit at once.

    A pool whose workers do not fit would wait for ever. GPU pools come first: as many workers as the GPUs hold. The others
    share the remaining cores; what they claim of one is scaled down where each of several pools is to have its workers.
    """
    groups = fused(specs)
    for group in groups:
        _check_fits(group, cpus, gpus)
    sizes: dict[int, int] = {}
    for index, group in enumerate(groups):
        need = group[0].resources
        if need.gpus:
            sizes[index] = max(1, min(need.concurrency or shards, int(gpus / need.gpus), shards))
    left = max(cpus - sum(size * groups[i][0].resources.cpus for i, size in sizes.items()), 0.0)
    light = [index for index in range(len(groups)) if index not in sizes]
    for index in light:
        need = groups[index][0].resources
        sizes[index] = max(1, min(need.concurrency or workers, int(left / need.cpus), shards))
    claimed = sum(sizes[index] * groups[index][0].resources.cpus for index in light)
    scale = min(1.0, left / claimed) if claimed else 1.0
    return [
        Pool(
            group,
            sizes[index],
            need.cpus if (need := group[0].resources).gpus else max(0.001, int(1000 * need.cpus * scale) / 1000),
            need.gpus,
        )
        for index, group in enumerate(groups)
    ]


def _check_fits(group: Sequence[StageSpec], cpus: float, gpus: float) -> None:
    name, need = group[0].name, group[0].resources
    if need.cpus > cpus or need.gpus > gpus:
        raise RequestError(
            f"The stage '{name}' asks for {need.cpus:g} cores and {need.gpus:g} GPUs, and Ray has {cpus:g} and {gpus:g}; "
            f"set {name}.resources in the recipe, or --workers."
        )


class RayInTheShade:
    """Ray starts while the plan is made: it takes some seconds, and most of them are spent waiting for its processes."""

    def __init__(self, workers: int | None) -> None:
        self._workers = workers
        self._begun = False
        self._settled = threading.Event()

    def __enter__(self) -> "RayInTheShade":
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._start, daemon=True).start()

    def wait(self) -> None:
        if self._begun:
            self._settled.wait()

    def _start(self) -> None:
        with contextlib.suppress(Exception):  # what is wrong is said when Ray is needed
            start_ray(self._workers)
        self._settled.set()
        # Ray's processes ask the kernel to end them with the thread that started them.
        threading.Event().wait()
