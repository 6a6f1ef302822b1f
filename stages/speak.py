"""speak: written text → the words a voice reads. The written text stays beside them.

Spoken language has what written dialogues lack: users say "mm-hm" while the agent talks, begin to speak and give it up, talk to somebody
else. Such asides are put in here, as turns without written text; `schedule` finds their place. And what assistants write is often longer
than anybody speaks at a stretch: such an answer is given in parts, or its beginning alone, as the recipe says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Literal

from pydantic import Field

from manifests.records import BadDialogue, Dialogue, Rejected, Turn
from stages.base import Stage, draw, reject
from stages.talk.choose import choose_backchannels, choose_false_starts, choose_side_talk
from stages.talk.phrases import phrases
from stages.talk.settings import TalkSettings, texts_field
from stages.text.long_turns import Uncuttable, parts, shortened
from stages.text.normalize import Normalizer, Unspeakable

LANGUAGE = "en"


class SpeakSettings(TalkSettings):
    max_turn_words: int = Field(
        default=120,
        ge=1,
        description="a turn with more words, counted as spoken, is too long; a user's rejects the dialogue",
    )
    long: Literal["reject", "shorten", "split"] = Field(
        default="split",
        description="an answer that is too long: 'reject' the dialogue, 'shorten' it to the first sentences that fit, or 'split' it "
        "into several turns, between which the user says that the agent is to go on",
    )
    go_on: list[str] | None = texts_field()


class Speak(Stage[Dialogue, Dialogue, SpeakSettings]):
    """Make every turn speakable, or reject the dialogue with the turn and the reason."""

    def setup(self) -> None:
        self.normalizer = Normalizer()

    def process(self, records: Sequence[Dialogue]) -> list[Dialogue | Rejected]:
        return [self._speak(dialogue) for dialogue in records]

    def _speak(self, dialogue: Dialogue) -> Dialogue | Rejected:
        turns: list[Turn] = []
        recorded = any(turn.recording for turn in dialogue.turns if turn.speaker == "user")
        go_on = draw(self.seed, dialogue.id, "go_on")
        for number, turn in enumerate(dialogue.turns, 1):
            try:
                turn = replace(turn, spoken=self.normalizer(turn.text))
                turns += self._in_length(turn, recorded, go_on)
            except (Unspeakable, BadDialogue) as error:
                return reject(dialogue, "speak", BadDialogue(error.reason, f"Turn {number} ({turn.speaker}): {error}"))
        return replace(dialogue, turns=tuple(self._with_asides(turns, dialogue.id)))

    def _in_length(self, turn: Turn, recorded_user: bool, random: Random) -> list[Turn]:
        """The turn, or what becomes of an answer that is too long; raises `BadDialogue` where it can't be had any shorter."""
        settings, words = self.settings, len(turn.spoken.split())
        most = settings.max_turn_words
        if words <= most:
            return [turn]
        too_long = f"It takes {words} spoken words, over the {most} of speak.max_turn_words"
        if settings.long == "reject":
            raise BadDialogue("turn_too_long", f"{too_long}.")
        if turn.speaker == "user" or turn.recording:
            uncut = "a recording" if turn.recording else "what a user says"
            raise BadDialogue("turn_too_long", f"{too_long}, and {uncut} is not cut.")
        try:
            if settings.long == "shorten":
                return [replace(turn, spoken=shortened(turn.spoken, most), edit="shortened")]
            if recorded_user:
                raise BadDialogue(
                    "turn_too_long", f"{too_long}, and a recorded user can't say between two parts of it to go on."
                )
            first, *others = parts(turn.spoken, most)
        except Uncuttable as error:
            raise BadDialogue("turn_too_long", f"{too_long}, and it can't be cut: {error}.") from None
        made = [replace(turn, spoken=first, edit="part")]
        for part in others:
            made.append(
                Turn(
                    "user",
                    text="",
                    spoken=random.choice(settings.go_on or phrases(LANGUAGE).go_on),
                    event="turn",
                    edit="added",
                )
            )
            made.append(Turn("agent", text="", spoken=part, voice=turn.voice, edit="part"))
        return made

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
