"""speak: written text → the words a voice reads. The written text stays beside them.

Spoken language has what written dialogues lack: users say "mm-hm" while the agent talks, begin to speak and give it up, talk to somebody
else. Such asides are put in here, as turns without written text; `schedule` finds their place.
"""

import random
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from pydantic import Field

from manifests.records import ASIDES, BadDialogue, Dialogue, Rejected, Turn
from stages.base import Settings, Stage, draw, poisson, reject
from stages.text.normalize import Normalizer, Unspeakable


class BackchannelSettings(Settings):
    share: float = Field(
        default=0,
        ge=0,
        le=1,
        description="share of the dialogues with an agent turn long enough that hold a backchannel",
    )
    turn_share: float = Field(
        default=0.5, ge=0, le=1, description="in those, share of the long enough agent turns with one; one at least"
    )
    min_words: int = Field(default=12, ge=1, description="an agent turn of fewer words is too short for a backchannel")
    per_minute: float | None = Field(
        default=None,
        gt=0,
        le=60,
        description="so many a minute of the dialogue, several in a long turn; in place of the shares",
    )
    texts: list[str] = Field(
        default=["mm-hm", "uh-huh", "yeah", "right", "okay", "I see", "sure", "yes", "mm"],
        min_length=1,
        description="what users say, as it is spoken",
    )


class FalseStartSettings(Settings):
    """The user begins the next turn while the agent talks, and gives it up; the agent goes on."""

    share: float = Field(
        default=0, ge=0, le=1, description="share of the dialogues with a possible false start that hold one"
    )
    turn_share: float = Field(
        default=0.3, ge=0, le=1, description="in those, share of the long enough agent turns with one; one at least"
    )
    min_words: int = Field(default=12, ge=1, description="an agent turn of fewer words is too short for one")
    words: int = Field(default=2, ge=1, le=5, description="so many words of the next turn are begun with")


class SideTalkSettings(Settings):
    """The user says something to somebody else before a turn; the agent stays silent."""

    share: float = Field(default=0, ge=0, le=1, description="share of the dialogues that hold side talk")
    turn_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="in those, share of the user's turns, but the first, with some before; one at least",
    )
    texts: list[str] = Field(
        default=[
            "Hang on, I'm on the phone.",
            "No, not you, honey.",
            "Can you close the door, please?",
            "Dinner is in ten minutes.",
            "Just a second, I'm nearly done.",
            "Put it on the table, thanks.",
            "Have you seen my keys?",
            "Quiet, please, I can't hear a thing.",
            "I'll be right there.",
            "Ask your brother.",
        ],
        min_length=1,
        description="what users say to others, as it is spoken",
    )


class SpeakSettings(Settings):
    max_turn_words: int = Field(
        default=120, ge=1, description="a dialogue with a longer turn, counted as spoken, is rejected"
    )
    backchannel: BackchannelSettings = BackchannelSettings()
    false_start: FalseStartSettings = FalseStartSettings()
    side_talk: SideTalkSettings = SideTalkSettings()


class Speak(Stage[Dialogue, Dialogue, SpeakSettings]):
    """Make every turn speakable, or reject the dialogue with the turn and the reason."""

    def setup(self) -> None:
        self.normalizer = Normalizer()

    def process(self, records: Sequence[Dialogue]) -> list[Dialogue | Rejected]:
        return [self._speak(dialogue) for dialogue in records]

    def _speak(self, dialogue: Dialogue) -> Dialogue | Rejected:
        turns = []
        for number, turn in enumerate(dialogue.turns, 1):
            try:
                spoken = self.normalizer(turn.text)
                if (words := len(spoken.split())) > self.settings.max_turn_words:
                    limit = f"over the {self.settings.max_turn_words} of speak.max_turn_words"
                    raise BadDialogue("turn_too_long", f"It takes {words} spoken words, {limit}.")
            except (Unspeakable, BadDialogue) as error:
                return reject(dialogue, "speak", BadDialogue(error.reason, f"Turn {number} ({turn.speaker}): {error}"))
            turns.append(replace(turn, spoken=spoken))
        return replace(dialogue, turns=tuple(self._with_asides(turns, dialogue.id)))

    def _with_asides(self, turns: Sequence[Turn], id: str) -> Iterator[Turn]:
        settings = self.settings
        backchannels = choose_backchannels(turns, settings.backchannel, draw(self.seed, id, "backchannel"))
        starts = choose_false_starts(turns, backchannels, settings.false_start, draw(self.seed, id, "false_start"))
        talk = choose_side_talk(turns, settings.side_talk, draw(self.seed, id, "side_talk"))
        for index, turn in enumerate(turns):
            if index in talk:
                yield Turn("user", text="", spoken=talk[index], event="side_talk")
            yield turn
            for words in backchannels.get(index, ()):
                yield Turn("user", text="", spoken=words, event="backchannel")
            if index in starts:
                yield Turn("user", text="", spoken=starts[index], event="false_start")


def choose_backchannels(
    turns: Sequence[Turn], settings: BackchannelSettings, random: random.Random
) -> dict[int, list[str]]:
    """Which agent turns the user says something during, and what: {turn index: words of each}. None where the input fixes any."""
    possible = [i for i, t in enumerate(turns) if t.speaker == "agent" and len(t.spoken.split()) >= settings.min_words]
    fixed = any(turn.event == "backchannel" for turn in turns)
    if fixed or not possible:
        return {}
    if settings.per_minute is not None:
        return _per_minute(turns, settings, random)
    if random.random() >= settings.share:
        return {}
    picked = [index for index in possible if random.random() < settings.turn_share] or [random.choice(possible)]
    return {index: [random.choice(settings.texts)] for index in picked}


WORD_S = 0.37
"""What a word takes, with its share of the pauses and gaps around it."""
FIRST_S, EACH_S = 2.3, 1.4
"""The room that a turn needs beside its backchannels, and that each of these takes: see `place_asides`."""


def _per_minute(turns: Sequence[Turn], settings: BackchannelSettings, random: random.Random) -> dict[int, list[str]]:
    assert settings.per_minute is not None
    words = [len(turn.spoken.split()) for turn in turns]
    rooms = [
        index
        for index, turn in enumerate(turns)
        if turn.speaker == "agent"
        for _ in range(int((words[index] * WORD_S - FIRST_S) / EACH_S))
    ]
    wanted = poisson(settings.per_minute * sum(words) * WORD_S / 60, random)
    chosen: dict[int, list[str]] = {}
    for index in sorted(random.sample(rooms, min(wanted, len(rooms)))):
        chosen.setdefault(index, []).append(random.choice(settings.texts))
    return chosen


def choose_false_starts(
    turns: Sequence[Turn], backchannels: Container[int], settings: FalseStartSettings, random: random.Random
) -> dict[int, str]:
    """Which agent turns, such as have no backchannel, the user begins to speak in, and with which words of the next turn:
    {turn index: words}. None where the input fixes any."""
    possible = [
        index
        for index, (turn, following) in enumerate(pairwise(turns))
        if (turn.speaker, following.speaker) == ("agent", "user")
        and following.event not in ASIDES
        and index not in backchannels
        and len(turn.spoken.split()) >= settings.min_words
    ]
    fixed = any(turn.event == "false_start" for turn in turns)
    if fixed or not possible or random.random() >= settings.share:
        return {}
    picked = [index for index in possible if random.random() < settings.turn_share] or [random.choice(possible)]
    return {index: " ".join(turns[index + 1].spoken.split()[: settings.words]).rstrip(",.;:?!") for index in picked}


def choose_side_talk(turns: Sequence[Turn], settings: SideTalkSettings, random: random.Random) -> dict[int, str]:
    """Before which turns the user talks to somebody else, and what: {turn index: words}. None where the input fixes any."""
    possible = [
        index
        for index, (before, turn) in enumerate(pairwise(turns), 1)
        if (before.speaker, turn.speaker) == ("agent", "user") and turn.event in (None, "turn")
    ]
    fixed = any(turn.event == "side_talk" for turn in turns)
    if fixed or not possible or random.random() >= settings.share:
        return {}
    picked = [index for index in possible if random.random() < settings.turn_share] or [random.choice(possible)]
    return {index: random.choice(settings.texts) for index in picked}
