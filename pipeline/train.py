"""`salm-duplex train`: from the command line to `salm_duplex_model.trainer`, in this process or in Ray Train workers."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manifests.errors import RequestError, WorkError
from manifests.progress import Progress
from manifests.store import Store
from pipeline.overrides import overridden
from pipeline.recipe import read_yaml, validated
from salm_duplex_model.config import PRESETS, RunConfig, preset_names
from salm_duplex_model.estimate import Estimate, estimate
from salm_duplex_model.trainer import train


def load_config(preset: str, overrides: Sequence[str]) -> RunConfig:
    """A preset by name, or a YAML file in the same format, with `key=value` overrides; raises `RequestError` naming
    the problem."""
    path = PRESETS / f"{preset}.yaml"
    if not path.is_file():
        path = Path(preset)
        if not path.is_file():
            raise RequestError(f"There is no preset '{preset}'; the presets are {', '.join(preset_names())}.")
    return validated("", RunConfig, overridden(read_yaml(path), overrides), "preset")


def plan(config: RunConfig, workers: int, timed: bool = False) -> Estimate:
    """An estimate of the run; raises `RequestError` if the free memory is not enough."""
    needs = estimate(config, workers)
    if timed and needs.bytes_needed <= needs.free_bytes:
        needs = estimate(config, workers, timed=True)
    if needs.bytes_needed > needs.free_bytes:
        raise RequestError(
            f"The run needs about {needs.bytes_needed / 2**30:.1f} GiB per process, and {needs.free_bytes / 2**30:.1f} "
            "are free; lower data.batch_seconds, raise data.accumulate, or use a smaller preset."
        )
    return needs


def run_training(
    corpora: Sequence[str], run: Path, config: RunConfig, workers: int, progress: Progress
) -> dict[str, Any]:
    """Train in this process, or in `workers` Ray Train processes, each on one GPU if there are GPUs."""
    corpora, run = [Store(place).absolute for place in corpora], run.resolve()
    if workers == 1:
        return train(corpora, run, config, progress)
    return _run_on_ray(corpora, run, config, workers, progress)


def _run_on_ray(
    corpora: Sequence[str], run: Path, config: RunConfig, workers: int, progress: Progress
) -> dict[str, Any]:
    from pipeline.building.cluster import start_ray

    start_ray(None)
    import ray
    from ray.train import FailureConfig, ScalingConfig
    from ray.train import RunConfig as RayRunConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    gpus = int(ray.cluster_resources().get("GPU", 0))
    if 0 < gpus < workers:
        raise RequestError(f"--workers {workers}: the cluster has {gpus} GPUs; use at most that many.")
    progress(0, config.optimizer.steps, f"starting {workers} workers")
    trainer = TorchTrainer(
        _worker,
        train_loop_config={
            "corpora": list(corpora),
            "run": str(run),
            "config": config.model_dump(mode="json"),
        },
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=bool(gpus), resources_per_worker={"CPU": 1} | ({"GPU": 1} if gpus else {})
        ),
        run_config=RayRunConfig(
            name="ray", storage_path=str(run.parent / f".{run.name}.ray"), failure_config=FailureConfig(max_failures=0)
        ),
    )
    try:
        result = trainer.fit()
    except Exception as error:
        raise _explained(error) from None
    return dict(result.return_value)


def _worker(settings: dict[str, Any]) -> dict[str, Any]:
    """One worker; its errors are passed on as text, since Ray keeps nothing else of them."""
    import ray.train
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // ray.train.get_context().get_world_size()))
    config = RunConfig.model_validate(settings["config"])
    try:
        return train(settings["corpora"], Path(settings["run"]), config)
    except (RequestError, WorkError) as error:
        raise RuntimeError(f"{MARK}{type(error).__name__}:{error}{MARK}") from None


MARK = "\x1e"


def _explained(error: Exception) -> RequestError | WorkError:
    _, mark, rest = str(error).partition(MARK)
    if mark:
        kind, _, message = rest.partition(MARK)[0].partition(":")
        return RequestError(message) if kind == "RequestError" else WorkError(message)
    last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return WorkError(
        f"A training worker failed: {last}; the last checkpoint is kept, and the same command resumes from it."
    )
