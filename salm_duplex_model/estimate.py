"""An estimate of a run before it starts: parameters, memory, step time and schedule."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import torch

from manifests.frames import CODEBOOKS, FRAMES_PER_SECOND, SOURCE_FRAME
from salm_duplex_model.batch import Batch
from salm_duplex_model.channels import SPEECH_VOCABULARY
from salm_duplex_model.config import CausalEncoderConfig, RunConfig
from salm_duplex_model.encoder import HOPS
from salm_duplex_model.losses import CHUNK
from salm_duplex_model.model import DuplexModel, build_model, parameters_by_part
from salm_duplex_model.precision import autocast, runs_in_bf16
from salm_duplex_model.trainer import learning_rate


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes per process, and the seconds per step if it was timed."""

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
    """Estimate a run with `processes`; builds the model, with random instead of pretrained LLM weights, and times it on a
    batch of noise if `timed`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, _ = build_model(config.model.model_copy(update={"llm_pretrained": False}), config.seed)
    parameters = parameters_by_part(model)
    every = sum(n for n, _ in parameters.values())
    trained = sum(n for _, n in parameters.values())
    frames = round(config.data.batch_seconds * FRAMES_PER_SECOND)
    part = -(-frames // (processes * config.data.accumulate))
    # Weights in float32; a gradient and AdamW's two moments for each trained one.
    weights = (4 * every + 12 * trained) // processes
    checkpoints = sorted({1, config.optimizer.warmup_steps, config.optimizer.steps // 2, config.optimizer.steps} - {0})
    return Estimate(
        parameters=parameters,
        weights_bytes=weights,
        activations_bytes=_activations(model, config, part, device),
        free_bytes=torch.cuda.mem_get_info()[0]
        if device.type == "cuda"
        else psutil.virtual_memory().available // processes,
        step_seconds=_seconds_a_frame(model, config, device, part) * frames / processes if timed else None,
        frames_a_step=frames,
        learning_rates={step: learning_rate(step - 1, config.optimizer) for step in checkpoints},
    )


def _activations(model: DuplexModel, config: RunConfig, frames: int, device: torch.device) -> int:
    """Activations kept for the backward pass, and the logits of one chunk.

    For each frame and layer, several vectors of the LLM's width and inner width, fewer for compiled layers, and
    one for checkpointed layers; for our own encoder, several per block. Measured on an H100 with compiled layers:
    TinyLlama's shape with 12 500 frames takes 33.1 GiB in total, the preset `small` with 25 000 frames 7.7 GiB.
    """
    shape = model.llm.config
    width, inner = shape.hidden_size, getattr(shape, "intermediate_size", 4 * shape.hidden_size)
    number = 2 if runs_in_bf16(config, device) else 4
    kept, kept_inner = (7, 2) if config.compile else (16, 4)
    layer = width if config.model.activation_checkpointing else kept * width + kept_inner * inner
    values: int = shape.num_hidden_layers * layer
    if isinstance(encoder := config.model.encoder, CausalEncoderConfig):
        values += 10 * (HOPS * encoder.channels * encoder.hop_blocks + encoder.width * encoder.frame_blocks)
    logits = min(CHUNK, frames * max(shape.vocab_size, CODEBOOKS * SPEECH_VOCABULARY)) * (4 + 2 * number)
    kept_bytes: int = frames * values * number + logits
    return kept_bytes


def _seconds_a_frame(model: DuplexModel, config: RunConfig, device: torch.device, part: int) -> float:
    """Time forward and backward on noise, the best of three: on a GPU, with the size of a part of a batch, compiled
    if the run is; else with 20 s (a longer batch is slightly faster per frame)."""
    frames, rows = 250, max(1, part // 250) if device.type == "cuda" else 1
    text = torch.full((rows, frames), model.special.pad)
    codes = torch.zeros(rows, frames, CODEBOOKS, dtype=torch.int64)
    audio = 0.1 * torch.randn(rows, frames * SOURCE_FRAME)
    batch = Batch(("noise",) * rows, audio, text, codes, torch.full((rows,), frames), user_text=text).to(device)
    model.to(device).train()
    if config.compile and device.type == "cuda":
        model.compile_parts()
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        with autocast(config, device):
            loss = model(batch, config.loss).total
        loss.backward()
        loss.item()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begun)
    return best / (rows * frames)
