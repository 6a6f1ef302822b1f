"""What the user of a closed loop says, and when: a test dialogue's labels, with times relative to preceding events.

The user's turns are cut out of the user channel at their labeled boundaries. The rest of the channel, silence or the
scene's noise, is the background (`bed`) that is played while the user is silent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low

import numpy as np
from lhotse import MonoCut, SupervisionSegment

from manifests.errors import RequestError
from manifests.frames import SOURCE_RATE, to_samples
from manifests.records import DURING, Event, Span
from manifests.sound import EFFECTS
from salm_duplex_model.evaluation.timeline import event_of

GAP_S = 0.6
"""The gap before a user turn in a dialogue without labeled gaps."""


@dataclass(frozen=True, slots=True)
class Line:
    """Something the user says: `sound` float32 (samples,) at 16 kHz.

    `delay` is in samples at 16 kHz: from the start of the agent's turn for a barge-in, a backchannel or a false start,
    otherwise from the end of all speech before.
    """

    label: SupervisionSegment
    sound: np.ndarray
    delay: int
    bursts: tuple[Span, ...] = ()
    """Noise bursts in `sound`."""
    during: tuple[SupervisionSegment, ...] = ()
    """The agent's labeled backchannels during this turn."""

    @property
    def event(self) -> Event:
        return event_of(self.label)


@dataclass(frozen=True, slots=True)
class Answer:
    """A turn of the reference agent. `delay` (samples at 16 kHz) is counted from the end of the previous turn."""

    label: SupervisionSegment
    delay: int
    length: int
    rest: int
    """Samples from its end to the user's next line (or the last turn's end): how long the user waits for a further answer."""
    asides: tuple[Line, ...] = ()
    """What the user says while the agent keeps talking."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user turn or side talk, and the labeled answers before the user's next turn. The first exchange has no line."""

    line: Line | None
    answers: tuple[Answer, ...]
    span: int
    """Samples at 16 kHz from the end of the line to the next one or, without one, to the last turn's end."""


@dataclass(frozen=True, slots=True)
class Script:
    """Everything a user says. `tail` (samples) is the silence after the last turn; `gap` (samples) is the median gap
    before turns. `bed` float32 (samples,) is repeated; `bursts` are the noise bursts in it."""

    exchanges: tuple[Exchange, ...]
    tail: int
    gap: int
    bed: np.ndarray
    bursts: tuple[Span, ...]


def script_of(cut: MonoCut) -> Script:
    """The script of a test cut; raises `RequestError` for a cut whose user channel can't be split into turns."""
    custom = cut.custom or {}
    effects = [name for name in EFFECTS if name in custom and name != "turned_down_db"]
    if effects:
        raise RequestError(
            f"The user channel of {cut.id} has '{effects[0]}', which spans turns and can't be split for --closed-loop; "
            "evaluate scenes, whose channels are clean or contain only synthetic noise."
        )
    audio = cut.load_audio()[0]
    ordered = sorted(cut.supervisions, key=lambda s: s.start)
    users = [s for s in ordered if s.speaker == "user"]
    spoken = np.zeros(len(audio), dtype=bool)
    for label in users:
        spoken[_start(label) : _end(label)] = True
    bursts = custom.get("noise_bursts", ())
    noises = [Span(to_samples(start, SOURCE_RATE), to_samples(length, SOURCE_RATE)) for start, length in bursts]
    bed = np.zeros(1, dtype=np.float32) if spoken.all() else audio[~spoken]
    quiet = np.cumsum(~spoken)
    in_bed = tuple(Span(int(quiet[own.start]) - 1, own.length) for own in noises if not spoken[own.start])

    groups = list(_groups(ordered))
    starts = [_start(group[0]) for group in groups[1:]]
    last = max((_end(s) for s in ordered), default=0)
    exchanges: list[Exchange] = []
    said = began = 0  # the end of all speech so far, and the start of the agent's last turn
    for group, until in zip(groups, [*starts, last], strict=True):
        since = began if group and event_of(group[0]) == "barge_in" else said
        exchanges.append(_exchange(group, since, until, audio, noises))
        said = max([said, *map(_end, group)])
        began = max([began, *(_start(label) for label in group if _answers(label))])
    gaps = [
        following.line.delay
        for before, following in pairwise(exchanges)
        if before.answers and following.line and following.line.event == "turn" and following.line.delay > 0
    ]
    gap = median_low(gaps) if gaps else to_samples(GAP_S, SOURCE_RATE)
    return Script(tuple(exchanges), len(audio) - last, gap, bed, in_bed)


def _groups(ordered: Sequence[SupervisionSegment]) -> Iterator[list[SupervisionSegment]]:
    """One for each exchange: the user's line, if any, and what comes before the next one."""
    group: list[SupervisionSegment] = []
    for label in ordered:
        aside = event_of(label) in DURING and any(_answers(other) for other in group)
        if label.speaker == "user" and not aside:
            yield group
            group = []
        group.append(label)
    yield group


def _exchange(
    group: Sequence[SupervisionSegment], since: int, until: int, audio: np.ndarray, noises: Sequence[Span]
) -> Exchange:
    """`since`: where the line's delay starts to count; `until`: the start of the next line."""
    labels = [label for label in group if _answers(label)]
    line, ended = None, 0
    if group and group[0].speaker == "user":
        own = group[0]
        during = tuple(label for label in group[1:] if label.speaker == "agent" and not _answers(label))
        line = _line(own, since, audio, noises, during)
        ended = _end(own)
    span, answers = until - ended, []
    for number, label in enumerate(labels):
        start, end = _start(label), _end(label)
        following = _start(labels[number + 1]) if number + 1 < len(labels) else until + 1
        asides = tuple(
            _line(other, start, audio, noises)
            for other in group[1:]
            if other.speaker == "user" and start <= _start(other) < following
        )
        answers.append(Answer(label, start - ended, end - start, until - end, asides))
        ended = end
    return Exchange(line, tuple(answers), span)


def _line(
    label: SupervisionSegment,
    since: int,
    audio: np.ndarray,
    noises: Sequence[Span],
    during: tuple[SupervisionSegment, ...] = (),
) -> Line:
    start, end = _start(label), _end(label)
    bursts = tuple(Span(own.start - start, own.length) for own in noises if start <= own.start < end)
    return Line(label, audio[start:end], start - since, bursts, during)


def _answers(label: SupervisionSegment) -> bool:
    return bool(label.speaker == "agent" and event_of(label) != "backchannel")


def _start(label: SupervisionSegment) -> int:
    return to_samples(label.start, SOURCE_RATE)


def _end(label: SupervisionSegment) -> int:
    return to_samples(label.end, SOURCE_RATE)
