"""Ray: joining or starting a cluster, and how a build's worker pools share it."""

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
    """Join the cluster at RAY_ADDRESS, as in a submitted job, or start a local one."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault(
        "RAY_DEDUP_LOGS_SKIP_REGEX", "."
    )  # else Ray prints its errors to standard output, into our JSON
    import ray
    from ray.data import DataContext

    # Our own progress replaces Ray's, and errors reach the user as one sentence.
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
    """Hide what Ray's core prints to standard error about its log level, at any level; Python's output stays visible."""
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
    """Neighboring stages fused into one process, in `size` processes that claim `cpus` and `gpus` each."""

    specs: tuple[StageSpec, ...]
    size: int
    cpus: float
    gpus: float


def fused(specs: Sequence[StageSpec]) -> list[tuple[StageSpec, ...]]:
    """Neighbors with the same resources run in one process, so that records are not passed between processes."""
    return [tuple(group) for _, group in groupby(specs, key=lambda spec: _needs(spec.resources))]


def _needs(resources: Resources) -> tuple[float, float, int | None]:
    return resources.cpus, resources.gpus, resources.concurrency


def pools(specs: Sequence[StageSpec], cpus: float, gpus: float, workers: int, shards: int) -> list[Pool]:
    """Distribute a cluster's cores and GPUs over the pools, so that all their workers fit at once.

    A pool whose workers do not fit would wait forever. GPU pools come first and leave a core to the others, which share
    the remaining cores: their claims are scaled down if several pools need a worker on every core.
    """
    groups = fused(specs)
    needs = [group[0].resources for group in groups]
    _check_fits(groups, cpus, gpus)
    sizes = [1] * len(groups)
    light = [index for index, need in enumerate(needs) if not need.gpus]
    free = cpus - (min(needs[index].cpus for index in light) if light else 0)
    for index, need in enumerate(needs):
        while need.gpus and sizes[index] < min(need.concurrency or shards, shards):
            sizes[index] += 1
            on_gpus = [(size, own) for size, own in zip(sizes, needs, strict=True) if own.gpus]
            if sum(n * own.gpus for n, own in on_gpus) > gpus or sum(n * own.cpus for n, own in on_gpus) > free:
                sizes[index] -= 1
                break
    left = max(cpus - sum(size * need.cpus for size, need in zip(sizes, needs, strict=True) if need.gpus), 0.0)
    for index in light:
        need = needs[index]
        sizes[index] = max(1, min(need.concurrency or workers, int(left / need.cpus), shards))
    claimed = sum(sizes[index] * needs[index].cpus for index in light)
    scale = min(1.0, left / claimed) if claimed else 1.0
    return [
        Pool(group, size, need.cpus if need.gpus else max(0.001, int(1000 * need.cpus * scale) / 1000), need.gpus)
        for group, size, need in zip(groups, sizes, needs, strict=True)
    ]


def _check_fits(groups: Sequence[Sequence[StageSpec]], cpus: float, gpus: float) -> None:
    for group in groups:
        name, need = group[0].name, group[0].resources
        if need.cpus > cpus or need.gpus > gpus:
            raise RequestError(
                f"The stage '{name}' needs {need.cpus:g} cores and {need.gpus:g} GPUs, but Ray has {cpus:g} and {gpus:g}; "
                f"change {name}.resources in the recipe, or --workers."
            )
    if (asked := sum(group[0].resources.gpus for group in groups)) > gpus:
        raise RequestError(
            f"The recipe's stages need {asked:g} GPUs in total, but Ray has {gpus:g}; give them fractions of one, such as "
            "resources: {gpus: 0.25}."
        )


class RayInTheShade:
    """Start Ray while the plan is made: it takes a few seconds, mostly spent waiting for its processes."""

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
        with contextlib.suppress(Exception):  # an error is reported when Ray is needed
            start_ray(self._workers)
        self._settled.set()
        # Ray's processes ask the kernel to end them together with the thread that started them.
        threading.Event().wait()
