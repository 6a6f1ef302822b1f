"""The settings of `schedule`."""

import random

from pydantic import Field, model_validator

from manifests.frames import to_samples
from stages.base import Settings

PAPER = "paper"


class Range(Settings):
    """A uniform distribution of seconds between two bounds."""

    low: float = Field(ge=0, le=60)
    high: float = Field(ge=0, le=60)

    @model_validator(mode="after")
    def _in_order(self) -> "Range":
        if self.low > self.high:
            raise ValueError("'low' must not be above 'high'")
        return self

    def draw(self, random: random.Random, rate: int) -> int:
        """A random duration in samples at `rate`."""
        return random.randint(to_samples(self.low, rate), to_samples(self.high, rate))


class BargeInSettings(Settings):
    share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the dialogues with a barge-in, of those with a long enough agent turn",
    )
    turn_share: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="in those, share of the long enough agent turns that are barged into; at least one",
    )
    cut_off_s: float = Field(
        default=0.64, ge=0.08, le=10, description="the agent falls silent this long after the user's start"
    )
    earliest_s: float = Field(default=0.8, ge=0, le=60, description="the agent speaks for at least this long first")
    early: float = Field(
        default=0, ge=0, le=1, description="share of the barge-ins in the first third of the agent's turn"
    )
    late: float = Field(default=0, ge=0, le=1, description="share in its last third; the others are anywhere")
    again: float = Field(
        default=0, ge=0, le=1, description="share after which the user also barges into the agent's next turn"
    )
    finish_word: float = Field(
        default=0,
        ge=0,
        le=1,
        description="share in which the agent finishes its word first; otherwise, it stops in the middle of a word",
    )

    @model_validator(mode="after")
    def _of_all(self) -> "BargeInSettings":
        if self.early + self.late > 1:
            raise ValueError("'early' and 'late' must not add up to more than 1")
        return self


class PauseSettings(Settings):
    """Pauses of speakers searching for a word: between two words of a sentence. A profile has its own numbers and
    lengths."""

    share: float = Field(default=0, ge=0, le=1, description="share of the dialogues in which the user pauses")
    turn_share: float = Field(default=0.5, ge=0, le=1, description="in those, share of the user's turns with pauses")
    words: int = Field(default=12, ge=2, description="a turn with pauses has one per this many words, rounded up")
    length_s: Range = Field(default=Range(low=0.3, high=1.3), description="duration of a pause")
    after_filler: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="share of the hesitations (`speak.filler`, a director's) after which the user pauses",
    )


class TailSettings(Settings):
    """An agent that is unsure whether the user has finished waits longer; a model can learn this from examples."""

    share: float = Field(default=0, ge=0, le=1, description="share of the agent's turns that start later")
    length_s: Range = Field(default=Range(low=0.0, high=1.36), description="by how much")


class ScheduleSettings(Settings):
    profile: str = Field(
        default=PAPER,
        description="gaps, overlaps and pauses: 'paper' (agent_gap_s, user_gap_s and pause as below), 'human' or 'meeting' "
        "(sampled from human timing), or a file written by `salm-duplex profile fit`",
    )
    agent_gap_s: float = Field(default=0.64, ge=0, le=60, description="silence before the agent speaks, in 'paper'")
    agent_tail: TailSettings = TailSettings()
    agent_overlaps: bool = Field(
        default=False, description="the agent may start before the user has finished, like the profile's speakers"
    )
    agent_pauses: bool = Field(
        default=False, description="the agent also pauses inside its turns, like the profile's speakers"
    )
    user_gap_s: Range = Field(
        default=Range(low=0.3, high=1.2), description="silence before the user speaks, in 'paper'"
    )
    lead_s: Range = Field(default=Range(low=0.2, high=1.0), description="silence before the first turn")
    silence_s: Range = Field(
        default=Range(low=6, high=10), description="silence before the agent asks again, see speak.reprompt"
    )
    hold_s: Range = Field(
        default=Range(low=5.5, high=9), description='silence after the user\'s "wait" or "stop", see speak.hold'
    )
    tail_s: float = Field(default=0.8, ge=0, le=60, description="minimum silence after the last turn")
    max_dialogue_s: float = Field(default=600, gt=0, description="a dialogue that lasts longer is rejected")
    barge_in: BargeInSettings = BargeInSettings()
    pause: PauseSettings = PauseSettings()
