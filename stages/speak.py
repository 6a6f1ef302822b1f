"""speak: written text → the words a voice reads. The written text stays beside them.

Spoken language has what written dialogues lack: users say "mm-hm" while the agent talks, begin to speak and give it up, talk to somebody
else. Such asides are put in here, as turns without written text; `schedule` finds their place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import Field

from manifests.records import BadDialogue, Dialogue, Rejected, Turn
from stages.base import Stage, draw, reject
from stages.talk.choose import choose_backchannels, choose_false_starts, choose_side_talk
from stages.talk.phrases import phrases
from stages.talk.settings import TalkSettings
from stages.text.normalize import Normalizer, Unspeakable

LANGUAGE = "en"


class SpeakSettings(TalkSettings):
    max_turn_words: int = Field(
        default=120, ge=1, description="a dialogue with a longer turn, counted as spoken, is rejected"
    )


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
        settings, said = self.settings, phrases(LANGUAGE)
        texts = settings.backchannel.texts or said.backchannels
        backchannels = choose_backchannels(turns, settings.backchannel, texts, draw(self.seed, id, "backchannel"))
        starts = choose_false_starts(turns, backchannels, settings.false_start, draw(self.seed, id, "false_start"))
        texts = settings.side_talk.texts or said.side_talk
        talk = choose_side_talk(turns, settings.side_talk, texts, draw(self.seed, id, "side_talk"))
        for index, turn in enumerate(turns):
            if index in talk:
                yield Turn("user", text="", spoken=talk[index], event="side_talk")
            yield turn
            for words in backchannels.get(index, ()):
                yield Turn("user", text="", spoken=words, event="backchannel")
            if index in starts:
                yield Turn("user", text="", spoken=starts[index], event="false_start")
