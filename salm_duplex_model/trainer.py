"""The training loop: read `train` from top to bottom.

It runs in one process. Alone, that is the whole training; under Ray Train (`pipeline/train.py`), each worker runs it, the
model is sharded over the workers with FSDP2, and every step's batch is divided between them, so the losses stay the same.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_

from manifests.errors import RequestError, WorkError
from manifests.frames import CODEBOOKS, SOURCE_FRAME
from manifests.identity import differences
from manifests.progress import Progress, silent
from salm_duplex_model import checkpoint
from salm_duplex_model.auxiliary import unlabeled
from salm_duplex_model.batch import Batch
from salm_duplex_model.config import OptimizerConfig, RunConfig
from salm_duplex_model.loss_plot import write_loss_plot
from salm_duplex_model.memory import limited_memory
from salm_duplex_model.model import DuplexModel, build_model
from salm_duplex_model.precision import autocast, runs_in_bf16
from salm_duplex_model.run_log import RunLog
from salm_duplex_model.steps import Steps, on_device
from salm_duplex_model.stream import codec_of, first_batches, open_for_training
from salm_duplex_model.validation import unigram_losses, validate

UNIGRAM_SECONDS = 3_600
"""Maximum training audio whose labels are counted for the unigram baseline."""
LESS_MEMORY = "lower data.batch_seconds, raise data.accumulate, or set model.activation_checkpointing; the last checkpoint is kept"


def train(corpora: Sequence[str | Path], run: Path, config: RunConfig, progress: Progress = silent) -> dict[str, Any]:
    """Train to `config.optimizer.steps`, resuming from the newest checkpoint in `run`; returns the last validation.

    Raises `RequestError` before any work and `WorkError` after.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    opened = [open_for_training(path) for path in corpora]
    config = config.model_copy(update={"codec": codec_of(opened)})
    torch.manual_seed(config.seed)
    model, tokenizer = build_model(config.model, config.seed, device)
    if config.loss.auxiliary_weight:
        model.add_auxiliary_heads(config.seed)
    resumed = _agreed(lambda: _prepare_run(run, config, model, tokenizer.save))
    if resumed is not None:
        checkpoint.load_weights(model, resumed)
    model.to(device).train()
    if config.compile:
        progress(0, config.optimizer.steps, "compiling the first steps")
        model.compile_parts()
    if world > 1:
        _shard(model, bf16=runs_in_bf16(config, device))
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad],
        lr=config.optimizer.learning_rate,
        betas=config.optimizer.betas,
        weight_decay=config.optimizer.weight_decay,
        fused=True,
    )
    laid_out: dict[str, Any] = {"user_delay": config.user_text_delay, "auxiliary": config.loss.auxiliary_weight > 0}
    steps = Steps(opened, config.data, tokenizer, config.seed, rank, world, **laid_out)
    first = _resume(resumed, model, optimizer, steps)
    how = (config.data, tokenizer)
    validation = first_batches(opened, "validation", *how, config.validation_seconds, **laid_out)
    known = first_batches(opened, "train", *how, UNIGRAM_SECONDS, audio=False, **laid_out)
    unigram = unigram_losses(model, known, validation, tokenizer.size)
    log = RunLog(run, rank, first)
    total = config.optimizer.steps
    validated: dict[str, Any] = {}
    if first >= total:
        validated = validate(model, validation, config, device) | unigram
    begun, frames_done = time.monotonic(), 0

    with limited_memory("training", LESS_MEMORY):
        for number, step in enumerate(on_device(steps.iterate(first, total), device), first):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(number, config.optimizer)
            sums = _accumulate(model, step.parts, step.frames, config.at(number), device, world)
            norm = clip_grad_norm_(model.parameters(), config.optimizer.clip)
            optimizer.step()
            optimizer.zero_grad()
            done = number + 1
            losses = _losses(sums, norm, step.frames, done)
            frames_done += step.frames
            row: dict[str, Any] = {"step": done, **losses, "frames": step.frames}
            row["learning_rate"] = optimizer.param_groups[0]["lr"]
            if done % config.validate_every == 0 or done == total:
                validated = validate(model, validation, config, device) | unigram
                row |= validated
            log.write(row, frames_per_second=frames_done / (time.monotonic() - begun))
            shown = [name for name in ("loss", "text", "codes") if name in losses]
            progress(done, total, ", ".join(f"{name} {losses[name]:.3f}" for name in shown))
            if done % config.checkpoint_every == 0 or done == total:
                _save(run, done, model, optimizer, steps.state_after(step), config.keep_checkpoints, rank)
                if rank == 0:
                    write_loss_plot(checkpoint.read_log(run), run / "loss.png")
    log.close()
    return {"step": max(first, total), **validated}


def _prepare_run(
    run: Path, config: RunConfig, model: DuplexModel, save_tokenizer: Callable[[Path], None]
) -> Path | None:
    """Create the run's folder, or find the checkpoint to resume from; rejects a run with another configuration."""
    if (run / "config.yaml").is_file():
        theirs = checkpoint.read_config(run).model_dump(mode="json")
        mine = config.model_dump(mode="json")
        # How often a run is logged and validated may change; what it learns, from what and for how long must not.
        free = {"validate_every", "validation_seconds", "checkpoint_every", "keep_checkpoints", "compile"}
        if differs := [key for key in differences(mine, theirs) if key not in free]:
            raise RequestError(
                f"{run} is a run with another {', '.join(differs[:4])}; name another --out, or use the same settings."
            )
        return checkpoint.latest(run)
    if run.is_dir() and any(p for p in run.iterdir() if not p.name.startswith(".")):
        raise RequestError(f"{run} contains files that are not a training run; name a new or empty folder with --out.")
    try:
        run.mkdir(parents=True, exist_ok=True)
        save_tokenizer(run / checkpoint.LLM)
        model.llm.config.save_pretrained(run / checkpoint.LLM)
        checkpoint.write_config(run, config)
    except OSError as error:
        raise RequestError(f"The run {run} can't be written: {error.strerror or error}; name another --out.") from None
    return None


def _agreed(decide: Callable[[], Path | None]) -> Path | None:
    """Broadcast the first process's result, or its error: the others must not see an incomplete folder."""
    if not dist.is_initialized():
        return decide()
    said: list[Any] = [None]
    if dist.get_rank() == 0:
        try:
            said = [decide()]
        except RequestError as error:
            said = [error]
    dist.broadcast_object_list(said)
    if isinstance(said[0], RequestError):
        raise said[0]
    return said[0]  # type: ignore[no-any-return]


def _shard(model: DuplexModel, bf16: bool) -> None:
    """FSDP2: the encoder and every LLM layer are units that are gathered when needed, and the rest is another unit.

    With `bf16`, weights are gathered in bf16; their shards, and the sums of gradients, stay in float32.
    """
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if bf16 else MixedPrecisionPolicy()
    fully_shard(model.encoder, mp_policy=replace(policy, cast_forward_inputs=False))  # audio stays in float32
    for layer in getattr(model.llm.base_model, "layers", []):
        fully_shard(layer, mp_policy=policy)
    fully_shard(model, mp_policy=policy)


def _resume(folder: Path | None, model: DuplexModel, optimizer: torch.optim.Optimizer, steps: Steps) -> int:
    if folder is None:
        return 0
    state = checkpoint.load_trainer(folder)
    moments = get_optimizer_state_dict(model, optimizer, options=_SHARDED)
    checkpoint.load_moments(folder, moments)
    set_optimizer_state_dict(model, optimizer, moments, options=_SHARDED)
    steps.seek(state["data"])
    torch.set_rng_state(state["rng"])
    return int(state["step"])


_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
_SHARDED = StateDictOptions(flatten_optimizer_state_dict=True)


def _save(
    run: Path, step: int, model: DuplexModel, optimizer: torch.optim.Optimizer, data: Any, keep: int, rank: int
) -> None:
    weights = get_model_state_dict(model, options=_WHOLE)
    moments = get_optimizer_state_dict(model, optimizer, options=_SHARDED)
    tensors = {n: tensor for n, tensor in weights.items() if isinstance(tensor, Tensor) and n not in model.tied}
    trainer = {"step": step, "data": data, "rng": torch.get_rng_state()}
    try:
        checkpoint.save(run, step, tensors, moments, trainer, keep)
    except OSError as error:
        raise WorkError(f"The checkpoint of step {step} could not be written to {run}: {error}.") from error


def _accumulate(
    model: DuplexModel, parts: Sequence[Batch | None], frames: int, config: RunConfig, device: torch.device, world: int
) -> dict[str, Tensor]:
    """Forward and backward over this process's parts; returns the whole batch's summed losses, by their names.

    A part's summed loss is divided by the frames of the whole batch, so gradients add up to those of one large batch.
    """
    names: tuple[str, ...] = ()
    sums = torch.zeros((), device=device)
    stand_in = next((part for part in parts if part is not None), None)
    for part in parts:
        # A process without a part must still run the sharded model with the others, with weight zero.
        used = part or stand_in or _one_frame(model)
        batch, weight = used.to(device), float(part is not None)
        with autocast(config, device):
            losses = model(batch, config.loss)
        # FSDP averages gradients over processes; we need sums.
        (losses.total * (weight * world / frames)).backward()
        names, own = zip(*losses.summed().items(), strict=True)
        sums = sums + weight * torch.stack(own)
    for parameter in model.parameters():
        # While only the encoder is trained, the others have none, and AdamW would keep no moments for a checkpoint.
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    if world > 1:
        dist.all_reduce(sums)
    return dict(zip(names, sums, strict=True))


def _losses(sums: dict[str, Tensor], norm: Tensor, frames: int, step: int) -> dict[str, float]:
    """Losses per frame and the gradient's norm, the only synchronization of a step with the device; raises if the
    norm is not finite."""
    whole = norm.full_tensor() if isinstance(norm, DTensor) else norm
    stacked = torch.stack(list(sums.values())) / frames
    *losses, size = torch.cat([stacked, whole[None].to(stacked)]).tolist()
    if not math.isfinite(size):
        raise WorkError(
            f"The gradient is not finite at step {step}; lower optimizer.learning_rate; the last checkpoint is kept."
        )
    return {**dict(zip(sums, losses, strict=True)), "gradient_norm": size}


def _one_frame(model: DuplexModel) -> Batch:
    tokens = torch.full((1, 2), model.special.pad)
    return Batch(
        ("",),
        torch.zeros(1, 2 * SOURCE_FRAME),
        tokens,
        torch.zeros(1, 2, CODEBOOKS, dtype=torch.int64),
        torch.tensor([2]),
        user_text=tokens,
        auxiliary=unlabeled(1, 2),
    )


def learning_rate(step: int, config: OptimizerConfig) -> float:
    """The learning rate of a step (from 0): a linear warm-up, then the schedule."""
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    if config.schedule == "inverse_sqrt":
        after = math.sqrt(max(config.warmup_steps, 1) / max(step + 1, config.warmup_steps, 1))
    elif config.schedule == "cosine":
        done = max(0, step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
        after = config.final_share + (1 - config.final_share) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    else:
        after = 1.0
    return config.learning_rate * warm * after
