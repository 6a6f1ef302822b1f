"""The user's interruptions in a timeline: which turn of the agent each cuts, and of what kind it is."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.records import ASIDES, Segment, Timeline

Place = Literal["early", "middle", "late"]


@dataclass(frozen=True, slots=True)
class Interruption:
    """A turn of the agent that a barge-in cuts off, and the user's turn that does it."""

    agent: Segment
    user: Segment
    place: Place
    """In which third of the agent's whole turn the user starts."""
    in_row: int
    """1, or more where the user has interrupted the agent's turn before, too."""

    @property
    def finishes_word(self) -> bool:
        """Whether the agent says the word whole that it is at; else it falls silent in its midst."""
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
