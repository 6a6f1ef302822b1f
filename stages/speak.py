"""speak: written text → the words a voice reads. The written text stays beside them."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from manifests.records import BadDialogue, Dialogue, Rejected
from stages.base import Resources, Settings, Stage, reject
from stages.normalise import Normaliser, Unspeakable


class SpeakSettings(Settings):
    max_turn_words: int = Field(
        default=120, ge=1, description="a dialogue with a longer turn, counted as spoken, is rejected"
    )


class Speak(Stage):
    """Make every turn speakable, or reject the dialogue with the turn and the reason."""

    Settings = SpeakSettings
    settings: SpeakSettings
    loads = True
    resources = Resources(cpus=0.15)

    def setup(self) -> None:
        self.normaliser = Normaliser()

    def process(self, records: Sequence[Dialogue]) -> list[Dialogue | Rejected]:
        return [self._speak(dialogue) for dialogue in records]

    def _speak(self, dialogue: Dialogue) -> Dialogue | Rejected:
        turns = []
        for number, turn in enumerate(dialogue.turns, 1):
            try:
                spoken = self.normaliser(turn.text)
                if (words := len(spoken.split())) > self.settings.max_turn_words:
                    limit = f"over the {self.settings.max_turn_words} of speak.max_turn_words"
                    raise BadDialogue("turn_too_long", f"It takes {words} spoken words, {limit}.")
            except (Unspeakable, BadDialogue) as error:
                return reject(dialogue, "speak", BadDialogue(error.reason, f"Turn {number} ({turn.speaker}): {error}"))
            turns.append(replace(turn, spoken=spoken))
        return replace(dialogue, turns=tuple(turns))
