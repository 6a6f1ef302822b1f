"""A run on disk, and resuming it.

    RUN/
      config.yaml                      everything the run was started with
      llm/                             its tokenizer and shape, in Hugging Face's format
      checkpoints/NNNNNNNN/            model.safetensors, trainer.pt (optimizer and position); the last few steps;
                                       turn_taking.yaml, if `tune` chose when the agent with these weights starts and stops
      log.jsonl, tensorboard/, loss.png

A checkpoint is written to a temporary name and renamed, so existing checkpoints are complete.
"""

import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import yaml
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load as load_shards
from torch.distributed.checkpoint.state_dict_saver import save as save_shards

from manifests.errors import RequestError, WorkError
from manifests.files import write_whole
from salm_duplex_model.config import LlamaConfig, RunConfig
from salm_duplex_model.model import DuplexModel, build_model
from salm_duplex_model.tokenizer import TextTokenizer
from salm_duplex_model.turn_taking import TurnTaking

CHECKPOINTS, LLM, OPTIMIZER = "checkpoints", "llm", "optimizer"
TURN_TAKING = "turn_taking.yaml"
BUNDLED_RUN = Path(__file__).with_name("bundled_run")
"""Made by the commands of `make train-demo`."""


def write_config(run: Path, config: RunConfig) -> None:
    write_whole(run / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False).encode())


def read_config(run: Path) -> RunConfig:
    """Raises `RequestError` if the folder is not a run."""
    try:
        return RunConfig.model_validate(yaml.safe_load((run / "config.yaml").read_text("utf-8")))
    except FileNotFoundError:
        raise RequestError(
            f"{run} is not a training run: it has no config.yaml; name a folder made by `train --out`."
        ) from None
    except (yaml.YAMLError, ValidationError, OSError) as error:
        raise RequestError(f"{run / 'config.yaml'} can't be read: {' '.join(str(error).split())[:200]}.") from None


def latest(run: Path) -> Path | None:
    """The newest checkpoint's folder."""
    folders = [p for p in (run / CHECKPOINTS).glob("*") if p.name.isdigit()]
    return max(folders, key=lambda p: int(p.name), default=None)


def newest(run: Path) -> Path:
    """The newest checkpoint's folder; raises `RequestError` if there is none, or the folder is not a run."""
    read_config(run)
    folder = latest(run)
    if folder is None:
        raise RequestError(f"The run {run} has no checkpoint yet; train it until the first one is written.")
    return folder


def write_turn_taking(run: Path, point: TurnTaking) -> Path:
    """Stored next to the weights it was chosen for: weights that are trained further have none until they are tuned."""
    path = newest(run) / TURN_TAKING
    write_whole(path, yaml.safe_dump(point.as_dict(), sort_keys=False).encode())
    return path


def forget_turn_taking(run: Path) -> None:
    (newest(run) / TURN_TAKING).unlink(missing_ok=True)


def read_turn_taking(run: Path) -> TurnTaking | None:
    """The choice of `tune` for the newest weights, None if it was not run; raises `RequestError` if it can't be read."""
    path = newest(run) / TURN_TAKING
    try:
        return TypeAdapter(TurnTaking).validate_python(yaml.safe_load(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, ValidationError, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"{path} can't be read ({reason}); delete it, or run `salm-duplex tune` again.") from None


def save(
    run: Path, step: int, weights: dict[str, Tensor], moments: dict[str, Any], trainer: dict[str, Any], keep: int
) -> None:
    """Write a checkpoint and drop all but the newest `keep`; called by all processes of a job at once.

    `weights` and `trainer` are written by the first process. Each process writes its own shards of `moments`, the
    optimizer's flat state dict.
    """
    first = not dist.is_initialized() or dist.get_rank() == 0
    place = run / CHECKPOINTS / f"{step:08d}"
    part = place.with_name(f".{place.name}.part")
    if first:
        shutil.rmtree(part, ignore_errors=True)
        (part / OPTIMIZER).mkdir(parents=True)
    if dist.is_initialized():
        dist.barrier()
    with _shards():
        writer = HuggingFaceStorageWriter(str(part / OPTIMIZER), save_distributed=True)
        save_shards(_tensors(moments), storage_writer=writer, no_dist=not dist.is_initialized())
    if not first:
        return
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, part / "model.safetensors")
    torch.save(trainer, part / "trainer.pt")
    shutil.rmtree(place, ignore_errors=True)
    part.rename(place)
    old = sorted(p for p in (run / CHECKPOINTS).glob("*") if p.name.isdigit())[:-keep]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)


def load_moments(checkpoint: Path, moments: dict[str, Any]) -> None:
    """Fill an optimizer's flat state dict, each process its own shards, regardless of how many processes wrote it;
    raises `RequestError`."""
    tensors = _tensors(moments)
    try:
        with _shards():
            reader = HuggingFaceStorageReader(str(checkpoint / OPTIMIZER))
            load_shards(tensors, storage_reader=reader, no_dist=not dist.is_initialized())
    except Exception as error:
        raise _damaged(checkpoint / OPTIMIZER, error) from None
    moments.update(tensors)


def _tensors(moments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in moments.items() if isinstance(value, Tensor)}


@contextmanager
def _shards() -> Iterator[None]:
    """Re-raises an error of one process as its original error, and hides the warning about running with a single
    process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        try:
            yield
        except CheckpointException as error:
            cause = next(iter(error.failures.values()))[0]
            raise OSError(f"{type(cause).__name__}: {cause}") from None


def load_weights(model: DuplexModel, checkpoint: Path) -> None:
    """Load a checkpoint's weights; raises `RequestError` if they are not this model's."""
    path = checkpoint / "model.safetensors"
    try:
        weights = load_file(path)
        if model.auxiliary is None:
            weights = _without_auxiliary(weights)
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except (OSError, SafetensorError) as error:
        raise RequestError(
            f"The checkpoint {path} is damaged ({error}); delete its folder to use the previous one."
        ) from None
    except RuntimeError as error:
        raise RequestError(
            f"The checkpoint {path} is from a model with other sizes ({str(error).splitlines()[-1].strip()[:160]}); use its preset."
        ) from None
    if wrong := sorted(({*missing} - model.tied) | {*unexpected}):
        raise RequestError(f"The checkpoint {path} is from another model (it differs in {wrong[0]}); use its preset.")


def _without_auxiliary(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the heads of auxiliary losses, which only training needs."""
    return {name: tensor for name, tensor in weights.items() if not name.startswith("auxiliary.")}


def load_trainer(checkpoint: Path) -> dict[str, Any]:
    path = checkpoint / "trainer.pt"
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise _damaged(path, error) from None
    return state


def _damaged(path: Path, error: BaseException) -> RequestError:
    reason = " ".join(str(error).split())[:120]
    return RequestError(f"{path} is damaged ({reason}); delete its folder to resume from the previous checkpoint.")


def slim(run: Path, out: Path) -> Path:
    """Copy a run for inference to a new folder: the newest weights, in half precision, without the trainer's state.

    Raises `RequestError` if the run has no checkpoint, or the folder exists.
    """
    config, checkpoint, turn_taking = read_config(run), newest(run), read_turn_taking(run)
    if out.exists():
        raise RequestError(f"{out} exists; name a new folder with --out.")
    try:
        place = out / CHECKPOINTS / checkpoint.name
        place.mkdir(parents=True)
        write_config(out, config)
        shutil.copytree(run / LLM, out / LLM)
        weights = _without_auxiliary(load_file(checkpoint / "model.safetensors"))
        save_file({name: tensor.half() for name, tensor in weights.items()}, place / "model.safetensors")
        if turn_taking is not None:
            write_turn_taking(out, turn_taking)
    except OSError as error:
        raise WorkError(f"{out} can't be written: {error.strerror or error}.") from error
    return place / "model.safetensors"


def load_run(run: Path) -> tuple[DuplexModel, TextTokenizer]:
    """A trained model, ready to use, from a run's newest checkpoint. Nothing is downloaded: the run has all weights."""
    config, checkpoint = read_config(run), newest(run)
    # The LLM may no longer exist under its name: the run has its own copy of its shape and tokenizer.
    own = {} if isinstance(config.model.llm, LlamaConfig) else {"llm": str(run / LLM), "llm_pretrained": False}
    model, tokenizer = build_model(config.model.model_copy(update=own), config.seed)
    load_weights(model, checkpoint)
    return model.eval(), tokenizer


def append_log(run: Path, row: dict[str, Any]) -> None:
    with (run / "log.jsonl").open("a") as log:
        log.write(json.dumps(row) + "\n")


def read_log(run: Path) -> list[dict[str, Any]]:
    """Rows of the log, without a last line truncated by a kill."""
    path = run / "log.jsonl"
    rows = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def rewind_log(run: Path, step: int) -> None:
    """Remove log rows after `step`, from which the run resumes."""
    rows = [row for row in read_log(run) if row["step"] <= step]
    write_whole(run / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
