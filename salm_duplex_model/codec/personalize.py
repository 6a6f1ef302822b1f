"""Personalize a codec: train its decoder on one voice, as in the paper, while its codes stay the same.

The encoder is unchanged, so existing corpora and models work with the personalized codec, and
only sound better. It also makes training cheap: all speech is encoded once, and only the decoder is trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import ConfigDict
from torch import Tensor

from manifests.pcm import to_float
from manifests.progress import Progress, silent
from salm_duplex_model.codec.losses import SpectralLoss
from salm_duplex_model.codec.nemo import AnyCodec

EDGE_FRAMES = 4
"""At both ends of a crop, the decoder lacks the codes outside it: these frames are excluded from the loss."""
_GAP_FRAMES = 4
"""Silence between two utterances."""


@dataclass(frozen=True, slots=True)
class PersonalizeSettings:
    """Training settings. A codec that already sounds good needs a lower learning rate than one that is new to its
    voice."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    steps: int = 1_000
    batch: int = 8
    crop_frames: int = 32
    learning_rate: float = 5e-4
    warmup_steps: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for invalid settings."""
        for name in ("steps", "batch", "learning_rate", "warmup_steps"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.crop_frames <= 2 * EDGE_FRAMES:
            raise ValueError(f"crop_frames must be above {2 * EDGE_FRAMES}, not {self.crop_frames}")


def personalize(
    codec: AnyCodec,
    utterances: Sequence[np.ndarray],
    settings: PersonalizeSettings,
    progress: Progress = silent,
) -> None:
    """Train the codec's decoder, in place, on utterances of the voice: int16 samples at 22 050 Hz, each (samples,).

    Deterministic by `settings.seed` for a given machine and thread count. Raises ValueError if there is too little
    speech, or if the loss becomes NaN."""
    codes, audio = _track(codec, utterances)
    if len(codes) < 2 * settings.crop_frames:
        raise ValueError(f"{len(codes) * 0.08:.1f} s of speech is too little to train on; use a minute or more")
    decoder, device = codec.decoder, next(codec.decoder.parameters()).device
    criterion = SpectralLoss(codec.sample_rate).to(device)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    heard = slice(EDGE_FRAMES * codec.frame_samples, -EDGE_FRAMES * codec.frame_samples)
    losses: list[float] = []
    decoder.train()
    for step in range(settings.steps):
        said, wanted = _crops(codes, audio, step, settings)
        loss = criterion(codec.synthesize(said)[:, heard], wanted.to(device)[:, heard])
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise ValueError(f"the loss is {losses[-1]} at step {step + 1}; lower learning_rate")
        for group in optimizer.param_groups:
            # Linear warm-up, then linear decay to zero.
            left = (settings.steps - step) / settings.steps
            group["lr"] = settings.learning_rate * min((step + 1) / settings.warmup_steps, left)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % max(1, settings.steps // 10) == 0:
            progress(step + 1, settings.steps, f"loss {np.mean(losses):.4f}")
            losses.clear()
    decoder.eval()


def _track(codec: AnyCodec, utterances: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """All utterances, separated by silence: codes (frames, 4), as made by `tokenize`, and audio (frames, 1 764)."""
    size, silence = codec.frame_samples, codec.silence()
    codes, audio = [silence.expand(_GAP_FRAMES, -1)], [torch.zeros(_GAP_FRAMES, size)]
    for samples in utterances:
        frames = -(-len(samples) // size)
        padded = torch.zeros(frames + 2 * codec.reach, size)
        padded[codec.reach :].view(-1)[: len(samples)] = torch.from_numpy(to_float(samples))
        own = slice(codec.reach, codec.reach + frames)
        codes += [codec.encode(padded.view(1, -1))[0, own], silence.expand(_GAP_FRAMES, -1)]
        audio += [padded[own], torch.zeros(_GAP_FRAMES, size)]
    return torch.cat(codes), torch.cat(audio)


def _crops(codes: Tensor, audio: Tensor, step: int, settings: PersonalizeSettings) -> tuple[Tensor, Tensor]:
    """The batch of one step, drawn from (seed, step): codes (B, crop, 4) and their audio (B, crop · 1 764)."""
    random = np.random.default_rng([settings.seed, step])
    starts = torch.from_numpy(random.integers(len(codes) - settings.crop_frames + 1, size=settings.batch))
    frames = starts[:, None] + torch.arange(settings.crop_frames)
    return codes[frames], audio[frames].flatten(1)
