"""speak: written text → the words a voice reads. The written text stays beside them.

Spoken language has what written dialogues lack: users say "mm-hm" while the agent talks. Such backchannels are put in here,
as turns without written text; `schedule` finds their place in the agent's turn.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import Field

from manifests.records import BadDialogue, Dialogue, Rejected, Turn
from stages.base import Settings, Stage, draw, reject
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
    texts: list[str] = Field(
        default=["mm-hm", "uh-huh", "yeah", "right", "okay", "I see", "sure", "yes", "mm"],
        min_length=1,
        description="what users say, as it is spoken",
    )


class SpeakSettings(Settings):
    max_turn_words: int = Field(
        default=120, ge=1, description="a dialogue with a longer turn, counted as spoken, is rejected"
    )
    backchannel: BackchannelSettings = BackchannelSettings()


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
        chosen = choose_backchannels(turns, self.settings.backchannel, draw(self.seed, dialogue.id, "backchannel"))
        return replace(dialogue, turns=tuple(_with_backchannels(turns, chosen)))


def choose_backchannels(turns: Sequence[Turn], settings: BackchannelSettings, random: random.Random) -> dict[int, str]:
    """Which agent turns the user says something during, and what: {turn index: words}. None where the input fixes any."""
    possible = [i for i, t in enumerate(turns) if t.speaker == "agent" and len(t.spoken.split()) >= settings.min_words]
    fixed = any(turn.event == "backchannel" for turn in turns)
    if fixed or not possible or random.random() >= settings.share:
        return {}
    picked = [index for index in possible if random.random() < settings.turn_share] or [random.choice(possible)]
    return {index: random.choice(settings.texts) for index in picked}


def _with_backchannels(turns: Sequence[Turn], chosen: dict[int, str]) -> Iterator[Turn]:
    for index, turn in enumerate(turns):
        yield turn
        if index in chosen:
            yield Turn("user", text="", spoken=chosen[index], event="backchannel")
