"""verify: compare the audio with its labels. Dialogues whose audio does not match are dropped, with the figures.

Clipping is always checked. Speech is checked if the recipe names a voice activity model (`verify: {vad: bundled}`),
and its words if it names a recognizer. Neither sees the labels: they listen to a channel, or to a turn's audio, and
the results are compared. Speech is the segments without their pauses, including backchannels; noise is not speech. If
a room, an echo or a line lies between the user and the agent, they hear the user before it: labels describe what is
said."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import Field, field_validator

from manifests.errors import RequestError
from manifests.frames import FRAME_SECONDS, SOURCE_RATE, TARGET_RATE
from manifests.records import SPEAKERS, BadDialogue, Checks, DuplexDialogue, Rejected, Segment, Speaker
from stages.base import Settings, Stage, reject
from stages.ears.recognize import RecognizerName, listen, load_recognizer
from stages.ears.vad import UnusableModel, VoiceActivity, installed
from stages.ears.vad.detector import BRIDGE_S

PLATEAU = 3
"""This many consecutive samples at a channel's extreme are clipped: unclipped sound stays there for fewer."""
GRID_S = 0.01
"""The resolution of comparing detected speech with the labels."""
FAR_S = 1.0
"""An edge farther than this from a label does not belong to it."""

Stretch = tuple[float, float]
"""Start and end, in seconds from the dialogue's start."""


class VerifySettings(Settings):
    vad: str | None = Field(
        default=None,
        description="'bundled', a pyannote.audio checkpoint, or a model's name such as pyannote/segmentation-3.0",
    )
    recognizer: RecognizerName = None
    clipped: float = Field(default=1e-4, ge=0, le=1, description="maximum share of clipped speech samples")
    edge_frames: float = Field(default=1, gt=0, le=10, description="maximum distance of a turn's edge from its label")
    edges_off: float = Field(
        default=0.25,
        ge=0,
        lt=1,
        description="maximum share of a channel's edges that are farther off; a single one is always allowed",
    )
    heard: float = Field(default=0.6, ge=0, le=1, description="minimum share of each turn's speech that is detected")
    extra_s: float = Field(default=0.25, gt=0, description="maximum duration of speech without a label")
    # Of 32 flite dialogues transcribed by pocketsphinx, 12 have a turn of 4 words or more with over half of them wrong. Of turns of
    # 8 or more, none has over 0.7 wrong, and compared with another turn's words, none has less. A better recognizer allows a lower limit.
    wer: float = Field(default=0.7, ge=0, description="maximum word error rate of a turn")
    wer_words: int = Field(default=8, ge=1, description="turns with fewer words are not checked")

    @field_validator("vad")
    @classmethod
    def _pyannote_is_there(cls, vad: str | None) -> str | None:
        if vad is not None:
            if not installed():
                raise ValueError("it needs pyannote.audio: pip install '.[pyannote]'")
            if vad != "bundled" and not Path(vad).exists() and not re.fullmatch(r"[\w.-]+/[\w.-]+", vad):
                raise ValueError(
                    "it must be 'bundled', the path of a checkpoint, or a name like pyannote/segmentation-3.0"
                )
        return vad


class Verify(Stage[DuplexDialogue, DuplexDialogue, VerifySettings]):
    """Drop dialogues whose audio does not match the labels, and keep the figures of the others."""

    def setup(self) -> None:
        if not (self.settings.vad or self.settings.recognizer):
            return
        import torch

        torch.set_num_threads(1)  # scores depend on the number of threads, and so could a decision at a threshold
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        if self.settings.vad:
            try:
                self.vad = VoiceActivity(self.settings.vad, self.device)
            except UnusableModel as error:
                raise RequestError(f"The recipe's verify.vad can't be used: {error}.") from None
        if self.settings.recognizer:
            self.recognize = load_recognizer(self.settings.recognizer)

    def made_by(self) -> dict[str, str]:
        made = {}
        if self.settings.vad:
            made = {"vad": self.settings.vad, "vad_sha256": self.vad.sha256, "device": self.device}
        return made | ({"recognizer": self.settings.recognizer} if self.settings.recognizer else {})

    def process(self, records: Sequence[DuplexDialogue]) -> list[DuplexDialogue | Rejected]:
        return [self._verify(record) for record in records]

    def _verify(self, record: DuplexDialogue) -> DuplexDialogue | Rejected:
        try:
            checks = Checks(self._clipping(record))
            if self.settings.vad:
                checks = self._listen(record, checks)
            if self.settings.recognizer:
                checks = self._words(record, checks)
        except BadDialogue as error:
            return reject(record.dialogue, "verify", error)
        return replace(record, checks=checks)

    def _clipping(self, record: DuplexDialogue) -> float:
        worst = 0.0
        for speaker in SPEAKERS:
            samples, _ = channel(record, speaker)
            speech = sum(s.length for s in record.timeline.segments if s.speaker == speaker)
            share = clipped_samples(samples) / max(speech, 1)
            if share > self.settings.clipped:
                message = (
                    f"The {speaker}'s channel is clipped: {share:.2%} of its speech samples are at the extremes, "
                    f"over the {self.settings.clipped:.2%} of verify.clipped."
                )
                raise BadDialogue("clipped", message)
            worst = max(worst, share)
        return round(worst, 6)

    def _listen(self, record: DuplexDialogue, checks: Checks) -> Checks:
        compared = [compare(record, speaker, self.vad.speech(*said(record, speaker))) for speaker in SPEAKERS]
        for one in compared:
            one.judge(self.settings)
        return replace(
            checks,
            edge_errors_s=tuple(round(edge.error_s, 4) for one in compared for edge in one.edges),
            least_heard=min((turn.share for one in compared for turn in one.turns), default=None),
            extra_s=max(one.extra.length_s for one in compared),
        )

    def _words(self, record: DuplexDialogue, checks: Checks) -> Checks:
        wers = {}
        for speaker in SPEAKERS:
            turns = listen(self.recognize, record, speaker, *said(record, speaker))
            for turn in turns:
                if turn.wer > self.settings.wer and turn.words >= self.settings.wer_words:
                    message = (
                        f"Turn {turn.segment.turn + 1} ({speaker}) is not recognized as written: {turn.wer:.0%} of its words are "
                        f"wrong, over the {self.settings.wer:.0%} of verify.wer; {turn.heard[:80]!r} was recognized for "
                        f"{turn.segment.text_heard[:80]!r}."
                    )
                    raise BadDialogue("wrong_words", message)
            wers[speaker] = tuple(turn.wer for turn in turns)
        return replace(checks, user_wers=wers["user"], agent_wers=wers["agent"])


def channel(record: DuplexDialogue, speaker: Speaker) -> tuple[np.ndarray, int]:
    """A speaker's int16 samples and their rate."""
    return (record.user, SOURCE_RATE) if speaker == "user" else (record.agent, TARGET_RATE)


def said(record: DuplexDialogue, speaker: Speaker) -> tuple[np.ndarray, int]:
    """The same, for the user before the recipe's sound effects."""
    if speaker == "user" and record.dry is not None:
        return record.dry, SOURCE_RATE
    return channel(record, speaker)


def clipped_samples(samples: np.ndarray) -> int:
    """The number of samples in plateaus at the channel's maximum or minimum, whatever its value."""
    number = 0
    for extreme in (samples.max(initial=0), samples.min(initial=0)):
        if extreme:
            number += sum(end - start for start, end in _runs(samples == extreme) if end - start >= PLATEAU)
    return number


@dataclass(frozen=True, slots=True)
class Edge:
    """A segment's labeled start or end, and how much later detected speech starts or ends; FAR_S if it does not."""

    segment: Segment
    kind: str
    label_s: float
    error_s: float


@dataclass(frozen=True, slots=True)
class HeardShare:
    """The detected share of a segment's labeled speech, which begins at `label_s`."""

    segment: Segment
    label_s: float
    share: float


@dataclass(frozen=True, slots=True)
class Longest:
    """The longest stretch of a kind, and its start."""

    length_s: float
    start_s: float


@dataclass(frozen=True, slots=True)
class Compared:
    """A channel's labels and its detected speech."""

    speaker: Speaker
    edges: tuple[Edge, ...]
    turns: tuple[HeardShare, ...]
    extra: Longest

    def judge(self, allowed: VerifySettings) -> None:
        """Raise `BadDialogue`, with the figures, if they differ by more than is allowed."""
        for turn in self.turns:
            if turn.share < allowed.heard:
                message = (
                    f"Turn {turn.segment.turn + 1} ({self.speaker}) lacks speech: {turn.share:.0%} of its labeled speech from "
                    f"{turn.label_s:.2f} s on is detected, under the {allowed.heard:.0%} of verify.heard."
                )
                raise BadDialogue("speech_missing", message)
        tolerance_s = allowed.edge_frames * FRAME_SECONDS
        off = [edge for edge in self.edges if abs(edge.error_s) > tolerance_s]
        if len(off) > max(1, allowed.edges_off * len(self.edges)):
            worst = max(off, key=lambda edge: abs(edge.error_s))
            found = (
                f"but no speech {worst.kind}s within {FAR_S:g} s of that"
                if abs(worst.error_s) >= FAR_S
                else f"but its speech {worst.kind}s {abs(worst.error_s):.2f} s {'later' if worst.error_s > 0 else 'earlier'}"
            )
            message = (
                f"{len(off)} of {len(self.edges)} edges of the {self.speaker}'s turns are more than {tolerance_s:.2f} s from "
                f"their labels, over the {allowed.edges_off:.0%} of verify.edges_off: turn {worst.segment.turn + 1} "
                f"{worst.kind}s by its label at {worst.label_s:.2f} s, {found}."
            )
            raise BadDialogue("edges_off", message)
        if self.extra.length_s > allowed.extra_s:
            message = (
                f"The {self.speaker}'s channel has unlabeled speech: {self.extra.length_s:.2f} s from "
                f"{self.extra.start_s:.2f} s on, over the {allowed.extra_s:g} of verify.extra_s."
            )
            raise BadDialogue("extra_speech", message)


def compare(record: DuplexDialogue, speaker: Speaker, heard: Sequence[Stretch]) -> Compared:
    """Compares a channel's labels with the detected speech."""
    _, rate = channel(record, speaker)
    own = [segment for segment in record.timeline.segments if segment.speaker == speaker]
    duration = record.timeline.frames * FRAME_SECONDS
    labeled = _mask([stretch for segment in own for stretch in _speech(segment, rate)], duration)
    sounding = _mask(heard, duration)
    turns = []
    for segment in own:
        said = _mask(list(_speech(segment, rate)), duration)
        share = round(float(np.mean(sounding[said])), 4) if said.any() else 1.0
        turns.append(HeardShare(segment, segment.start / rate, share))
    # Edges are judged separately: speech around them is not extra.
    extra = _longest(sounding & ~_widened(labeled, round(FRAME_SECONDS / GRID_S)))
    return Compared(speaker, tuple(_edges(own, rate, heard)), tuple(turns), extra)


def _edges(segments: Sequence[Segment], rate: int, heard: Sequence[Stretch]) -> Iterator[Edge]:
    """The edges of segments, except between two that are too close to be distinguished."""
    starts, ends = [start for start, _ in heard], [end for _, end in heard]
    for number, segment in enumerate(segments):
        start, end = segment.start / rate, segment.end / rate
        if number == 0 or start - segments[number - 1].end / rate >= BRIDGE_S:
            yield Edge(segment, "start", start, _nearest(starts, start))
        if number == len(segments) - 1 or segments[number + 1].start / rate - end >= BRIDGE_S:
            yield Edge(segment, "end", end, _nearest(ends, end))


def _nearest(found: Sequence[float], label: float) -> float:
    error = min((at - label for at in found), key=abs, default=FAR_S)
    return error if abs(error) < FAR_S else FAR_S


def _speech(segment: Segment, rate: int) -> Iterator[Stretch]:
    """The parts of a segment between its pauses."""
    at = segment.start
    for pause in segment.pauses:
        yield at / rate, (segment.start + pause.start) / rate
        at = segment.start + pause.end
    yield at / rate, segment.end / rate


def _mask(stretches: Sequence[Stretch], duration_s: float) -> np.ndarray:
    mask = np.zeros(round(duration_s / GRID_S), dtype=bool)
    for start, end in stretches:
        mask[round(start / GRID_S) : round(end / GRID_S)] = True
    return mask


def _widened(mask: np.ndarray, by: int) -> np.ndarray:
    wide: np.ndarray = np.convolve(mask, np.ones(2 * by + 1), mode="same") > 0
    return wide


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _longest(mask: np.ndarray) -> Longest:
    start, end = max(_runs(mask), key=lambda run: run[1] - run[0], default=(0, 0))
    return Longest(round((end - start) * GRID_S, 4), round(start * GRID_S, 4))
