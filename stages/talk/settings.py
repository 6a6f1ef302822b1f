"""The settings of the events that `speak` adds to a dialogue."""

from typing import Any

from pydantic import Field

from stages.base import Settings


def _dialogues() -> Any:
    return Field(default=0, ge=0, le=1, description="share of the dialogues that get one, of those with a place for it")


def _places(default: float) -> Any:
    return Field(default=default, ge=0, le=1, description="in those, share of the places that get one; at least one")


def texts_field() -> Any:
    return Field(default=None, min_length=1, description="the phrases, as spoken; default: see stages/talk/phrases/")


class BackchannelSettings(Settings):
    """The user says a word or two while the agent talks; the agent keeps talking."""

    share: float = _dialogues()
    turn_share: float = _places(0.5)
    min_words: int = Field(default=12, ge=1, description="an agent turn of fewer words is too short for a backchannel")
    per_minute: float | None = Field(
        default=None,
        gt=0,
        le=60,
        description="rate per minute of the dialogue, possibly several in a long turn; replaces the shares",
    )
    texts: list[str] | None = texts_field()


class AgentBackchannelSettings(Settings):
    """The agent says a word or two while the user talks; the user keeps talking."""

    share: float = _dialogues()
    turn_share: float = _places(0.5)
    min_words: int = Field(default=15, ge=1, description="a turn of the user of fewer words is too short for one")
    texts: list[str] | None = texts_field()


class FalseStartSettings(Settings):
    """The user starts the next turn while the agent talks, and gives up; the agent keeps talking."""

    share: float = _dialogues()
    turn_share: float = _places(0.3)
    min_words: int = Field(default=12, ge=1, description="an agent turn of fewer words is too short for one")
    words: int = Field(default=2, ge=1, le=5, description="number of words of the next turn that are spoken")


class SideTalkSettings(Settings):
    """The user says something to somebody else before a turn other than the first; the agent stays silent."""

    share: float = _dialogues()
    turn_share: float = _places(0.2)
    texts: list[str] | None = texts_field()


class FillerSettings(Settings):
    """Users search for words: "um". A pause may follow, see `schedule.pause`."""

    per_minute: float = Field(default=0, ge=0, le=60, description="rate per minute of the user's speech")
    texts: list[str] | None = texts_field()


class RepromptSettings(Settings):
    """The user does not answer for a long time (`schedule.silence_s`), and the agent asks again."""

    share: float = _dialogues()
    turn_share: float = _places(0.2)
    texts: list[str] | None = texts_field()


class HoldSettings(Settings):
    """The user interrupts the agent with "wait", and it is silent (`schedule.hold_s`) until "go on", then resumes at
    the start of the interrupted sentence; or with "stop", and it is silent until the user's next turn."""

    share: float = _dialogues()
    turn_share: float = _places(0.2)
    min_words: int = Field(default=12, ge=1, description="an agent turn of fewer words is too short for one")
    stop: float = Field(default=0.3, ge=0, le=1, description="share of these that are a stop")
    waits: list[str] | None = texts_field()
    stops: list[str] | None = texts_field()
    resumes: list[str] | None = texts_field()


class TalkSettings(Settings):
    """Events besides turns: none by default."""

    backchannel: BackchannelSettings = BackchannelSettings()
    agent_backchannel: AgentBackchannelSettings = AgentBackchannelSettings()
    false_start: FalseStartSettings = FalseStartSettings()
    side_talk: SideTalkSettings = SideTalkSettings()
    filler: FillerSettings = FillerSettings()
    reprompt: RepromptSettings = RepromptSettings()
    hold: HoldSettings = HoldSettings()
