"""Closing the gap when turns with nothing to say, such as a single emoji, are dropped from a dialogue."""

from collections.abc import Sequence
from dataclasses import replace

from manifests.records import ASIDES, Turn


def closed_up(turns: Sequence[Turn | None]) -> list[Turn | None]:
    """The turns, each in its place, without those that are None: two turns of one speaker around a gap become one
    turn, in the first one's place, so that speakers still alternate. Recordings stay unchanged.

    All are None if the rest is not a dialogue of a user and an agent.
    """
    closed: list[Turn | None] = []
    before = -1  # the turn that has the floor
    gap = False  # whether a turn after it was dropped
    for turn in turns:
        if turn is None or turn.event in ASIDES:
            gap = gap or turn is None
            closed.append(turn)
            continue
        last = closed[before] if before >= 0 else None
        if gap and last and last.speaker == turn.speaker and not (last.recording or turn.recording):
            closed[before] = _joined(last, turn)
            closed.append(None)
        else:
            before = len(closed)
            closed.append(turn)
        gap = False
    speakers = {turn.speaker for turn in closed if turn and turn.event not in ASIDES}
    return closed if len(speakers) == 2 else [None] * len(turns)


def _joined(first: Turn, second: Turn) -> Turn:
    said = first.spoken if first.spoken[-1] in ".?!" else first.spoken.rstrip(",;:") + "."
    return replace(
        first,
        text=f"{first.text}\n{second.text}",
        spoken=f"{said} {second.spoken}",
        left_out=first.left_out + second.left_out,
    )
