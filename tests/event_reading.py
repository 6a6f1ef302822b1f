"""Events read from clean audio by its energy alone, to compare labels with.

A channel has sound where its level over 10 ms is less than 45 dB below that of its loudest 10 ms. Nothing here uses how
a label was made: a label says who does what from when to when, and the channels must have sound, or silence, at exactly
these times, within two frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from lhotse import MonoCut, SupervisionSegment

from manifests.frames import FRAME_SECONDS, SOURCE_RATE, TARGET_RATE
from manifests.records import ASIDES, DuplexDialogue, TokenizedDialogue
from manifests.shards import build_cut

STEP_S = 0.01
QUIET = 10 ** (-45 / 20)
NEAR_S = 2 * FRAME_SECONDS
GOES_ON_S = 1.0
"""Whoever talks on through something is heard so long after it."""


@dataclass(frozen=True, slots=True)
class Read:
    """One label: what it says, where, and how much the audio disagrees with it, in seconds; infinite if it is something
    else entirely."""

    kind: str
    where: str
    error_s: float

    @property
    def agrees(self) -> bool:
        return self.error_s <= NEAR_S


class Channel:
    """Where a channel has sound."""

    def __init__(self, samples: np.ndarray, rate: int) -> None:
        block = round(STEP_S * rate)
        blocks = samples[: len(samples) // block * block].reshape(-1, block).astype(np.float64)
        levels = np.sqrt(np.mean(np.square(blocks), axis=1))
        self._sounds = levels > QUIET * levels.max()
        self._step = block / rate

    def first(self, start: float, end: float) -> float | None:
        """When sound starts between two times."""
        found = np.flatnonzero(self._within(start, end))
        return None if not len(found) else (self._at(start) + int(found[0])) * self._step

    def last(self, start: float, end: float) -> float | None:
        """When sound ends between two times."""
        found = np.flatnonzero(self._within(start, end))
        return None if not len(found) else (self._at(start) + int(found[-1]) + 1) * self._step

    def seconds(self, start: float, end: float) -> float:
        """The duration of sound between two times."""
        return float(self._within(start, end).sum()) * self._step

    def _within(self, start: float, end: float) -> np.ndarray:
        return self._sounds[self._at(start) : max(self._at(end), 0)]

    def _at(self, seconds: float) -> int:
        return max(round(seconds / self._step), 0)


def read_events(record: DuplexDialogue) -> list[Read]:
    """Compare every event of a dialogue on clean channels with its audio."""
    coded = TokenizedDialogue.of(record, np.zeros((record.timeline.frames, 4), np.int16))
    user = record.user if record.dry is None else record.dry
    return list(
        _Dialogue(build_cut(coded, {}), Channel(user, SOURCE_RATE), Channel(record.agent, TARGET_RATE)).events()
    )


class _Dialogue:
    def __init__(self, cut: MonoCut, user: Channel, agent: Channel) -> None:
        self._cut, self._channels = cut, {"user": user, "agent": agent}
        self._labels = list(cut.supervisions)
        self._turns = [s for s in self._labels if s.custom["event"] not in ASIDES]

    def events(self) -> Iterator[Read]:
        for label in self._labels:
            for kind, error in self._of(label):
                yield Read(kind, f"{label.id} at {label.start:.2f} s", error)

    def _of(self, label: SupervisionSegment) -> Iterator[tuple[str, float]]:
        event, act = label.custom["event"], label.custom.get("act", "")
        name = f"{label.speaker}: {act or event.replace('_', '-')}"
        yield name, max(self._edges(label), self._rest(label))
        if label.custom["cut_off"]:
            yield f"agent: yields {label.custom['yields'].replace('_', ' ')}", self._yields(label)
        if "barge_in" in label.custom:
            kind = label.custom["barge_in"]
            yield f"user: {kind['place']} barge-in", self._place(label, kind["place"])
            if kind["in_row"] > 1:
                yield "user: barge-in again", self._again(label)
        own = self._channels[label.speaker]
        for start, length in label.custom.get("pauses", ()):
            yield f"{label.speaker}: pause", _pause(own, start, start + length)
        for kind, _, start, length in label.custom.get("disfluencies", ()):
            yield f"{label.speaker}: {kind.replace('_', '-')}", self._said(label, start, start + length)

    def _edges(self, label: SupervisionSegment) -> float:
        """The distance of a label's edges from the start and end of the speaker's closest sound."""
        own = [s for s in self._labels if s.speaker == label.speaker]
        place = own.index(label)
        low = (own[place - 1].end + label.start) / 2 if place else 0.0
        high = (label.end + own[place + 1].start) / 2 if place + 1 < len(own) else self._cut.duration
        channel = self._channels[label.speaker]
        return max(_apart(channel.first(low, high), label.start), _apart(channel.last(low, high), label.end))

    def _rest(self, label: SupervisionSegment) -> float:
        """What the other channel must do during, before and after the event."""
        event, act = label.custom["event"], label.custom.get("act", "")
        user, agent = self._channels["user"], self._channels["agent"]
        following = self._after(label)
        if event in ("backchannel", "false_start"):  # the other speaker keeps talking
            speaker = "agent" if label.speaker == "user" else "user"
            floor = max(s.end for s in self._turns if s.speaker == speaker and s.start < label.start)
            return _least(self._channels[speaker].seconds(label.end, floor + NEAR_S), GOES_ON_S / 2)
        if event == "side_talk":  # the agent only finishes what it was saying, until the user addresses it
            said = max([s.end for s in self._turns if s.speaker == "agent" and s.start < label.start], default=0.0)
            until = following.start if following else label.end
            return agent.seconds(max(label.start - NEAR_S, said), max(until, said))
        if event == "barge_in":  # in the agent's turn, which ends; the agent is silent before it speaks again
            before = self._turns[self._turns.index(label) - 1]
            heard = agent.seconds(label.start - 1, label.start), agent.seconds(label.start, before.end + NEAR_S)
            starts = [s.start for s in self._labels if s.speaker == "agent" and s.start > before.start]
            silent = agent.seconds(before.end + NEAR_S, min([*starts, self._cut.duration]) - NEAR_S)
            return max(_least(min(heard), 0.05), silent)
        if act in ("reprompt", "go_on"):  # nobody has spoken for a long time
            silent = label.start - 5
            return max(user.seconds(silent, label.start - NEAR_S), agent.seconds(silent, label.start - NEAR_S))
        return 0.0

    def _after(self, label: SupervisionSegment) -> SupervisionSegment | None:
        return next((s for s in self._turns if s.start > label.start), None)

    def _yields(self, label: SupervisionSegment) -> float:
        """A word is cut if the sound continues up to the end; a finished word is the last one heard, and ends there."""
        last = self._channels["agent"].last(label.start, label.end + NEAR_S)
        if label.custom["yields"] == "after_word":
            return max(_apart(last, label.end), abs(label.alignment["word"][-1].end - label.end))
        return max(_apart(last, label.end), max(label.custom["cut_word"][1] - label.end, 0.0))

    def _place(self, label: SupervisionSegment, place: str) -> float:
        """By how many seconds the spoken part of the full turn, estimated from its words, is outside the named third."""
        before = self._turns[self._turns.index(label) - 1]
        words = before.alignment["word"]
        whole = before.duration * len(before.custom["text_full"]) / max(len(before.custom["text_heard"]), 1)
        onset = self._channels["user"].first(label.start - NEAR_S, label.end)
        if onset is None or not words:
            return np.inf
        low, high = {"early": (0, 1 / 3), "middle": (1 / 3, 2 / 3), "late": (2 / 3, 1)}[place]
        said = (onset - before.start) / whole
        # The full turn's length is only estimated from its letters: a fifth of it is tolerated.
        return 0.0 if low - 0.2 <= said <= high + 0.2 else np.inf

    def _again(self, label: SupervisionSegment) -> float:
        place = self._turns.index(label)
        earlier = self._turns[place - 2]
        return 0.0 if earlier.custom["event"] == "barge_in" and earlier.end < label.start else np.inf

    def _said(self, label: SupervisionSegment, start: float, end: float) -> float:
        """Words have sound except in their pauses, and labeled pauses after them are silent."""
        channel, pauses = self._channels[label.speaker], label.custom.get("pauses", ())
        following = min((word.start for word in label.alignment["word"] if word.start >= end), default=label.end)
        behind = [begin for begin, _ in pauses if end <= begin <= following]
        silent = _apart(channel.last(start, behind[0] + NEAR_S), end) if behind else 0.0
        rest = end - start - sum(length for begin, length in pauses if start < begin < end)
        return max(silent, _least(channel.seconds(start, end), 0.5 * rest))


def _pause(channel: Channel, start: float, end: float) -> float:
    """Silence that starts and ends at its label."""
    before, behind = channel.last(start - 1, (start + end) / 2), channel.first((start + end) / 2, end + 1)
    return max(_apart(before, start), _apart(behind, end))


def _apart(found: float | None, label: float) -> float:
    return np.inf if found is None else abs(found - label)


def _least(found: float, wanted: float) -> float:
    return 0.0 if found >= wanted - 1e-9 else np.inf


def by_kind(found: list[Read]) -> dict[str, list[Read]]:
    kinds: dict[str, list[Read]] = {}
    for one in found:
        kinds.setdefault(one.kind, []).append(one)
    return dict(sorted(kinds.items()))
