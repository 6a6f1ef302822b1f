"""The user's interruptions in a timeline: which agent turn each one cuts, and its kind."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.records import ASIDES, Segment, Timeline

Place = Literal["early", "middle", "late"]


@dataclass(frozen=True, slots=True)
class Interruption:
    """An agent turn cut off by a barge-in, and the interrupting user turn."""

    agent: Segment
    user: Segment
    place: Place
    """The third of the agent's full turn in which the user starts."""
    in_row: int
    """1, or more if the user also interrupted the agent's previous turn."""

    @property
    def finishes_word(self) -> bool:
        """Whether the agent finishes its current word; else it stops in the middle of it."""
        return self.agent.cut_word is None


def interruptions(timeline: Timeline) -> list[Interruption]:
    """In order of time."""
    found: list[Interruption] = []
    turns = [segment for segment in timeline.segments if segment.event not in ASIDES]
    for number, (agent, user) in enumerate(pairwise(turns)):
        if user.event == "barge_in":
            again = bool(found) and number > 0 and turns[number - 1] is found[-1].user
            in_row = found[-1].in_row + 1 if again else 1
            found.append(Interruption(agent, user, _place(timeline, agent, user), in_row))
    return found


def _place(timeline: Timeline, agent: Segment, user: Segment) -> Place:
    whole = timeline.spoken.speech[agent.turn]
    share = (user.start / SOURCE_RATE - agent.start / TARGET_RATE) / (len(whole.samples) / whole.rate)
    return "early" if share < 1 / 3 else "middle" if share < 2 / 3 else "late"
