"""tokenize: the agent's channel → codec codes, 4 a frame. The embedded codec is the bundled one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pydantic import Field, field_validator

from manifests.frames import TARGET_FRAME
from manifests.records import DuplexDialogue
from salm_duplex_model.codec import Codec
from stages.base import Resources, Settings, Stage

BATCH_FRAMES = 4_000
"""Frames in one batch, padding included: bounds the memory that a batch takes."""


class TokenizeSettings(Settings):
    codec: str = Field(default="bundled", description="'bundled', or a checkpoint written by `salm-duplex codec train`")

    @field_validator("codec")
    @classmethod
    def _is_there(cls, codec: str) -> str:
        if codec != "bundled" and not Path(codec).is_file():
            raise ValueError("it must be 'bundled' or the path of a codec checkpoint, and there is no such file")
        return codec


class BundledTokenizer(Stage):
    """Encode agent channels in batches of like length.

    Floating point makes codes depend on the batch's shape and the number of threads. The batches are formed from the
    records of one call, which is one shard in a build, and one thread is used: so the codes depend on the shard alone.
    """

    Settings = TokenizeSettings
    settings: TokenizeSettings
    loads = True
    resources = Resources(cpus=0.4)

    def setup(self) -> None:
        torch.set_num_threads(1)
        self.codec = Codec.bundled() if self.settings.codec == "bundled" else Codec.load(self.settings.codec)

    def made_by(self) -> dict[str, str]:
        return {"codec": self.settings.codec, "codec_sha256": self.codec.sha256, "device": "cpu"}

    def process(self, records: Sequence[DuplexDialogue]) -> list[DuplexDialogue]:
        tokenized: list[DuplexDialogue] = list(records)
        for batch in _batches(records):
            longest = max(records[i].timeline.frames for i in batch)
            audio = np.zeros((len(batch), longest * TARGET_FRAME), dtype=np.float32)
            for row, i in enumerate(batch):
                audio[row, : len(records[i].agent)] = records[i].agent / np.float32(32768)
            codes = self.codec.encode(torch.from_numpy(audio)).numpy()
            for row, i in enumerate(batch):
                tokenized[i] = replace(records[i], codes=codes[row, : records[i].timeline.frames].copy())
        return tokenized


def _batches(records: Sequence[DuplexDialogue]) -> Iterator[list[int]]:
    """Indices of records, shortest first, in batches of at most `BATCH_FRAMES`."""
    batch: list[int] = []
    for i in sorted(range(len(records)), key=lambda i: (records[i].timeline.frames, i)):
        if batch and records[i].timeline.frames * (len(batch) + 1) > BATCH_FRAMES:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
