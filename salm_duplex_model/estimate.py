"""What a run will take, before it begins: parameters, memory and time of a step, the schedule."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import torch

from manifests.frames import CODEBOOKS, FRAMES_PER_SECOND, SOURCE_FRAME
from salm_duplex_model.batch import Batch
from salm_duplex_model.channels import SPEECH_VOCABULARY
from salm_duplex_model.config import RunConfig
from salm_duplex_model.model import DuplexModel, build_model, parameters_by_part
from salm_duplex_model.trainer import autocast, learning_rate


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes of one process, and the seconds of a step where it was timed."""

    parameters: dict[str, tuple[int, int]]
    weights_bytes: int
    activations_bytes: int
    free_bytes: int
    step_seconds: float | None
    frames_a_step: int
    learning_rates: dict[int, float]

    @property
    def bytes_needed(self) -> int:
        return self.weights_bytes + self.activations_bytes

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"bytes_needed": self.bytes_needed}


def estimate(config: RunConfig, processes: int = 1, timed: bool = False) -> Estimate:
    """Estimate a run of `processes`; builds the model, with random weights in place of an LLM's own, and times it on a
    short batch of noise where `timed`."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, _ = build_model(config.model.model_copy(update={"llm_pretrained": False}), config.seed)
    parameters = parameters_by_part(model)
    every = sum(n for n, _ in parameters.values())
    trained = sum(n for _, n in parameters.values())
    frames = round(config.data.batch_seconds * FRAMES_PER_SECOND)
    part = -(-frames // (processes * config.data.accumulate))
    # Weights in float32; a gradient and AdamW's two moments for each that is trained.
    weights = (4 * every + 12 * trained) // processes
    checkpoints = sorted({1, config.optimizer.warmup_steps, config.optimizer.steps // 2, config.optimizer.steps} - {0})
    return Estimate(
        parameters=parameters,
        weights_bytes=weights,
        activations_bytes=_activations(model, config, part),
        free_bytes=torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available // processes,
        step_seconds=_seconds_a_frame(model, config, device) * frames / processes if timed else None,
        frames_a_step=frames,
        learning_rates={step: learning_rate(step - 1, config.optimizer) for step in checkpoints},
    )


def _activations(model: DuplexModel, config: RunConfig, frames: int) -> int:
    """What the backward pass keeps: about 16 vectors of the width and 4 of the inner width a layer and frame, one of the
    width with checkpointing; and the logits, in float32 with their gradient."""
    shape = model.llm.config
    width, inner = shape.hidden_size, getattr(shape, "intermediate_size", 4 * shape.hidden_size)
    number = 2 if config.precision == "bf16" else 4
    layer = width if config.model.activation_checkpointing else 16 * width + 4 * inner
    logits = (shape.vocab_size + CODEBOOKS * SPEECH_VOCABULARY) * (2 * 4 + number)
    every: int = frames * (shape.num_hidden_layers * layer * number + logits)
    return every


def _seconds_a_frame(model: DuplexModel, config: RunConfig, device: str) -> float:
    """Forward and backward on 20 s of noise, the best of three; a longer batch is a little quicker by the frame."""
    frames = 250
    text = torch.full((1, frames), model.special.pad)
    codes = torch.zeros(1, frames, CODEBOOKS, dtype=torch.int64)
    audio = 0.1 * torch.randn(1, frames * SOURCE_FRAME)
    batch = Batch(("noise",), audio, text, codes, torch.tensor([frames])).to(torch.device(device))
    model.to(device).train()
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        with autocast(config, torch.device(device)):
            loss = model(batch, config.loss).total
        loss.backward()
        loss.item()  # waits for the device
        best = min(best, time.perf_counter() - begun)
    return best / frames
