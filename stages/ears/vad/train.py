"""Train a small PyanNet to find speech in rendered dialogues, where every edge is known exactly.

The architecture is that of pyannote's own segmentation models (SincNet and LSTM), with one narrow LSTM layer: synthetic
voices on a clean or evenly noisy line are easy. Silence between word times is labeled as silence, so that it finds
edges and a voice's own pauses; noise on the user's channel is not speech.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import soxr

from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.pcm import to_float, to_int16
from manifests.progress import Progress, silent
from manifests.records import SPEAKERS, DuplexDialogue, Speaker
from stages.ears.vad.detector import RATE, VoiceActivity, import_pyannote
from stages.sound.noise import NoiseSettings, add_noise

WINDOW_S = 10.0
"""The model's window, in training and inference."""
JOIN_S = 0.1
"""Shorter silence between words is labeled as speech."""
BATCH = 8
NOISE_ALONE = 0.2
"""Share of the windows with noise and no speech, so that the loudest sound is not taken for a voice."""
WIDTH = 48
"""Width of the LSTM, per direction, and of the layer after it."""
LEARNING_RATE = 3e-3


@dataclass(frozen=True, slots=True)
class Channel:
    """Int16 samples at 16 kHz, at least one window long, and a mask of speech."""

    samples: np.ndarray
    speech: np.ndarray


def train_vad(
    records: Sequence[DuplexDialogue], out: Path, steps: int, seed: int, progress: Progress = silent
) -> VoiceActivity:
    """Train on both channels of rendered dialogues, and write a pyannote.audio checkpoint to `out`.

    Deterministic by `seed` for a given machine and thread count. Raises ValueError if there is nothing to train on.
    """
    import torch
    from torch.nn import functional as F

    channels = [labeled(record, speaker) for record in records for speaker in SPEAKERS]
    if not channels:
        raise ValueError("there are no dialogues to train on")
    hours = sum(len(c.samples) for c in channels) / RATE / 3600
    progress(0, steps, f"{hours:.2f} h, {100 * _share(channels):.0f} % of it speech")
    torch.manual_seed(seed)
    model = new_model(WIDTH)
    # A frame's label is that of the sample at the center of its receptive field.
    centers = [model.receptive_field_center(i) for i in range(model.num_frames(round(WINDOW_S * RATE)))]
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=0.1)
    begin, running = time.monotonic(), 0.0
    model.train()
    for step in range(1, steps + 1):
        audio, speech = draw_batch(channels, np.random.default_rng([seed, step]), BATCH)
        scores = model(torch.from_numpy(audio)[:, None])[..., 0]
        loss = F.binary_cross_entropy(scores, torch.from_numpy(speech[:, centers]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        running += loss.item()
        if step % 25 == 0 or step == steps:
            pace = (time.monotonic() - begin) / step
            progress(step, steps, f"loss {running / ((step - 1) % 25 + 1):.4f}, {pace:.2f} s a step")
            running = 0.0
            save(model.eval(), out)  # usable before training ends
            model.train()
    return VoiceActivity(str(out))


def new_model(width: int) -> Any:
    """An untrained PyanNet that separates speech from silence."""
    import_pyannote()
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.segmentation import PyanNet

    model = PyanNet(
        lstm={"hidden_size": width, "num_layers": 1, "bidirectional": True},
        linear={"hidden_size": width, "num_layers": 1},
    )
    model.specifications = Specifications(
        Problem.BINARY_CLASSIFICATION, Resolution.FRAME, duration=WINDOW_S, classes=["speech"]
    )
    model.setup()
    return model


def save(model: Any, out: Path) -> None:
    """Write the checkpoint in the format of Lightning's trainer, which pyannote's `Model.from_pretrained` requires."""
    from lightning.pytorch import Trainer

    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(out, weights_only=True)


def labeled(record: DuplexDialogue, speaker: Speaker) -> Channel:
    """A channel at 16 kHz with its speech mask from the word times."""
    rate = SOURCE_RATE if speaker == "user" else TARGET_RATE
    samples = record.user if speaker == "user" else record.agent
    speech = np.zeros(len(samples), dtype=bool)
    join = round(JOIN_S * rate)
    for segment in record.timeline.segments:
        if segment.speaker == speaker:
            spans = [(word.start, word.end) for word in segment.words]
            if segment.cut_off:  # the cut-off word is audible, but not among the words
                spans.append((spans[-1][1] if spans else 0, segment.length))
            last = 0
            for start, end in spans:
                begin = last if last and start - last < join else start
                speech[segment.start + begin : segment.start + end] = True
                last = end
    if rate != RATE:
        samples = to_int16(soxr.resample(to_float(samples), rate, RATE))
        speech = speech[np.arange(len(samples)) * rate // RATE]
    short = max(0, round(WINDOW_S * RATE) - len(samples))
    return Channel(np.pad(samples, (0, short)), np.pad(speech, (0, short)))


def draw_batch(channels: Sequence[Channel], random: np.random.Generator, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Random windows of any channel: float32 samples, and float32 1 where there is speech, (batch, samples)."""
    length = round(WINDOW_S * RATE)
    audio, speech = np.empty((batch, length), np.float32), np.empty((batch, length), np.float32)
    for row in range(batch):
        if random.random() < NOISE_ALONE:
            audio[row], speech[row] = _noise(length, random), 0
            continue
        channel = channels[int(random.integers(len(channels)))]
        start = int(random.integers(len(channel.samples) - length + 1))
        audio[row] = to_float(channel.samples[start : start + length])
        speech[row] = channel.speech[start : start + length]
    return audio, speech


def _noise(length: int, random: np.random.Generator) -> np.ndarray:
    """Background noise and bursts at a random level, float32."""
    alone = NoiseSettings(share=1, snr_db_low=0, snr_db_high=40, bursts_a_minute=12)
    draw = Random(int(random.integers(2**63)))
    noise, _ = add_noise(np.zeros(length, np.float32), draw.uniform(-35, -15), alone, draw)
    return to_float(to_int16(noise))


def _share(channels: Sequence[Channel]) -> float:
    return float(np.mean(np.concatenate([channel.speech for channel in channels])))
