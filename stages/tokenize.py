"""tokenize: the agent's channel → codec codes, 4 a frame. The embedded codec is the bundled one.

A codec's encoder looks ahead: codes of the silence before a turn reveal that it comes, and codes before a cut-off
that it ends. A model that reads its own codes would learn to wait for that cue, which does not exist in a live
conversation. So every turn is encoded separately, padded with silence as far as the encoder looks, a cut-off turn is
encoded from its uncut speech, and all frames between turns have the same silence code."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from pydantic import Field, field_validator

from manifests.frames import TARGET_FRAME, frames_to_cover
from manifests.pcm import to_float
from manifests.records import Checks, DuplexDialogue, TokenizedDialogue
from salm_duplex_model.codec import Codec
from salm_duplex_model.codec.codec import BUNDLED_BY_NAME
from salm_duplex_model.codec.nemo import AnyCodec
from stages.base import Settings, Stage
from stages.ears.recognize import Recognizer, RecognizerName, listen, load_recognizer


class TokenizerSettings(Settings):
    """Settings of tokenizers for any codec."""

    codec: str
    recognizer: RecognizerName = None
    """Transcribes the agent's turns after decoding; the word error rates are recorded."""


Own = TypeVar("Own", bound=TokenizerSettings)


class TokenizeSettings(TokenizerSettings):
    codec: str = Field(
        default="bundled",
        description="'bundled', 'bundled-hibari', or a checkpoint written by `salm-duplex codec train`",
    )

    @field_validator("codec")
    @classmethod
    def _is_there(cls, codec: str) -> str:
        if codec not in BUNDLED_BY_NAME and not Path(codec).is_file():
            raise ValueError(f"it must be {' or '.join(BUNDLED_BY_NAME)}, or the path of an existing codec checkpoint")
        return codec


class Tokenizer(Stage[DuplexDialogue, TokenizedDialogue, Own]):
    """Encode the agent's turns; subclasses choose the codec.

    A turn's codes depend only on the turn, not on the rest of its shard. Floating point makes a code depend on the
    shape of its batch and on the number of threads: so one thread is used, and turns are encoded one at a time,
    except by a codec whose `encode` gives the same codes in any batch."""

    batch_frames = 1
    """Frames per batch, including padding; a longer turn is its own batch."""

    def load_codec(self) -> AnyCodec:
        raise NotImplementedError

    def setup(self) -> None:
        torch.set_num_threads(1)
        self.codec = self.load_codec()
        self.recognize = load_recognizer(self.settings.recognizer) if self.settings.recognizer else None
        self.silence = self.codec.silence().numpy()

    def made_by(self) -> dict[str, str]:
        made = {"codec": self.settings.codec, "codec_sha256": self.codec.sha256, "device": self.codec.device_name}
        return made | ({"recognizer": self.settings.recognizer} if self.settings.recognizer else {})

    def process(self, records: Sequence[DuplexDialogue]) -> list[TokenizedDialogue]:
        codes = [np.tile(self.silence, (record.timeline.frames, 1)) for record in records]
        stretches = [stretch for i, record in enumerate(records) for stretch in stretches_of(i, record)]
        margin = self.codec.reach
        for batch in _batches(stretches, margin, self.batch_frames):
            longest = max(stretch.frames for stretch in batch) + 2 * margin
            audio = np.zeros((len(batch), longest * TARGET_FRAME), dtype=np.float32)
            for row, stretch in zip(audio, batch, strict=True):
                samples = stretch.samples[: len(row) - margin * TARGET_FRAME]
                row[margin * TARGET_FRAME :][: len(samples)] = to_float(samples)
            encoded = self.codec.encode(torch.from_numpy(audio)).numpy()[:, margin:]
            for own, stretch in zip(encoded, batch, strict=True):
                codes[stretch.record][stretch.first : stretch.first + stretch.frames] = own[: stretch.frames]
        coded = [TokenizedDialogue.of(record, own) for record, own in zip(records, codes, strict=True)]
        return [self._listened(record, self.recognize) for record in coded] if self.recognize else coded

    def _listened(self, record: TokenizedDialogue, recognize: Recognizer) -> TokenizedDialogue:
        decoded = self.codec.decode(torch.from_numpy(record.codes)[None])[0].numpy()
        turns = listen(recognize, record, "agent", decoded, self.codec.sample_rate)
        return replace(record, checks=replace(record.checks or Checks(), coded_wers=tuple(turn.wer for turn in turns)))


class BundledTokenizer(Tokenizer[TokenizeSettings]):
    """The bundled codec, or another one made by `salm-duplex codec`, on the CPU."""

    def load_codec(self) -> Codec:
        return Codec.load(BUNDLED_BY_NAME.get(self.settings.codec, self.settings.codec))


@dataclass(frozen=True, slots=True)
class Stretch:
    """The frames of an agent segment in dialogue number `record`, and the samples from its start."""

    record: int
    first: int
    frames: int
    samples: np.ndarray


def stretches_of(number: int, record: DuplexDialogue) -> Iterator[Stretch]:
    uncut = iter(record.uncut)
    for segment in record.timeline.segments:
        if segment.speaker == "agent":
            heard = record.agent[segment.start : segment.end]
            samples = next(uncut, heard) if segment.cut_off else heard
            # A segment starts on a frame.
            frames = frames_to_cover(segment.length, TARGET_FRAME)
            yield Stretch(number, segment.start // TARGET_FRAME, frames, samples)


def _batches(stretches: Sequence[Stretch], margin: int, most: int) -> Iterator[list[Stretch]]:
    """Stretches, shortest first, in batches of at most this many frames, including the margins on both sides of each."""
    batch: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda stretch: stretch.frames):
        if batch and (stretch.frames + 2 * margin) * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(stretch)
    if batch:
        yield batch
