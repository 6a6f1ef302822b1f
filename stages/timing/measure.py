"""Who speaks when → a timing profile.

Definitions (other ones give other numbers):

* Utterances of one speaker that lie less than `merge_s` apart are one.
* An utterance that is entirely inside another speaker's is *contained*: a backchannel, or a false start. It does not take the
  floor; it is counted and excluded from the rest.
* Of the others, in order of their starts: two in a row by one speaker have a *pause* between them, two by different
  speakers have a change of speaker, whose offset is the start of the second minus the end of the first: a *gap*, or an *overlap*.
* Silences longer than `LONGEST_S` are neither: nobody is waiting anymore.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from stages.timing.profile import STEPS, Profile

LONGEST_S = 5.0


@dataclass(frozen=True, slots=True, order=True)
class Utterance:
    """One stretch of one speaker's speech, in seconds."""

    start: float
    end: float
    speaker: str


@dataclass(slots=True)
class Timing:
    """Measurements of any number of recordings."""

    gaps: list[float] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    contained: int = 0
    left_out: int = 0
    """Silences longer than `LONGEST_S`."""
    speech_s: float = 0.0
    total_s: float = 0.0
    recordings: int = 0

    def add(self, utterances: Iterable[Utterance], merge_s: float) -> None:
        """Measure one recording, from its first utterance's start to its last one's end."""
        merged = sorted(_merged(utterances, merge_s), key=lambda one: (one.start, -one.end))
        if not merged:
            return
        self.recordings += 1
        self.total_s += max(one.end for one in merged) - merged[0].start
        self.speech_s += sum(one.end - one.start for one in merged)
        floor = list(_with_floor(merged))
        self.contained += len(merged) - len(floor)
        for before, after in pairwise(floor):
            offset = after.start - before.end
            if offset > LONGEST_S:
                self.left_out += 1
            elif before.speaker == after.speaker:
                self.pauses.append(offset)
            elif offset >= 0:
                self.gaps.append(offset)
            else:
                self.overlaps.append(-offset)

    def profile(self, about: str, merge_s: float) -> Profile:
        """Needs at least one gap, one overlap and one pause; raises ValueError otherwise."""
        for name, seconds in (("gap", self.gaps), ("overlap", self.overlaps), ("pause", self.pauses)):
            if not seconds:
                raise ValueError(f"there is no {name} in it")
        counts = f"{len(self.gaps)} gaps, {len(self.overlaps)} overlaps, {len(self.pauses)} pauses"
        return Profile(
            about=f"{about}: {self.recordings} recordings, {self.total_s / 3600:.1f} h, {counts}, "
            f"{self.left_out} silences over {LONGEST_S:g} s left out",
            merge_s=merge_s,
            gap_s=_quantiles(self.gaps),
            overlap_s=_quantiles(self.overlaps),
            overlap_share=round(len(self.overlaps) / (len(self.gaps) + len(self.overlaps)), 4),
            pause_s=_quantiles(self.pauses),
            pauses_per_minute=round(60 * len(self.pauses) / self.speech_s, 3),
            contained_per_minute=round(60 * self.contained / self.total_s, 3),
        )


def _merged(utterances: Iterable[Utterance], merge_s: float) -> Iterator[Utterance]:
    latest: dict[str, Utterance] = {}
    for one in sorted(utterances):
        before = latest.get(one.speaker)
        if before is not None and one.start - before.end < merge_s:
            latest[one.speaker] = Utterance(before.start, max(before.end, one.end), one.speaker)
            continue
        if before is not None:
            yield before
        latest[one.speaker] = one
    yield from latest.values()


def _with_floor(ordered: Iterable[Utterance]) -> Iterator[Utterance]:
    """The utterances that are not contained, from utterances sorted by start, longest first among equal starts."""
    reached: dict[str, float] = {}  # by each speaker so far
    for one in ordered:
        if all(end < one.end for speaker, end in reached.items() if speaker != one.speaker):
            yield one
        reached[one.speaker] = max(one.end, reached.get(one.speaker, 0.0))


def _quantiles(seconds: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in np.quantile(seconds, np.linspace(0, 1, STEPS + 1)))
