"""speak: written text → the words a voice reads. The written text is kept as well.

Spoken language has what written dialogues lack: people say "mm-hm" while the other one talks, start to speak and give
up, search for words, talk to somebody else, or do not answer. This stage adds these events, as turns without written
text and as fillers; `schedule` places them in time. And since assistants' answers are often longer than anybody
speaks at a stretch, such an answer is split into parts, or shortened to its beginning, as set in the recipe."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Literal

from pydantic import Field, field_validator, model_validator

from manifests.records import BadDialogue, Dialogue, Rejected, Turn
from stages.base import Settings, Stage, draw, reject
from stages.talk.choose import (
    choose_agent_backchannels,
    choose_backchannels,
    choose_false_starts,
    choose_holds,
    choose_reprompts,
    choose_side_talk,
    put_in,
    with_fillers,
)
from stages.talk.gaps import closed_up
from stages.talk.phrases import has_phrases, phrases
from stages.talk.settings import TalkSettings, texts_field
from stages.text.languages import ENGLISH, name_of, readable
from stages.text.long_turns import Uncuttable, parts, shortened
from stages.text.normalize import Unspeakable
from stages.text.reader import reader
from stages.text.unspoken import CODE, DIRECTION, with_items_apart, with_phrases, without_directions

WORDLESS = ("emoji_only", "directions_only")
"""Reasons why a turn has nothing to say although it is not empty."""


class BlockSettings(Settings):
    """Contents that are not read aloud: a phrase replaces them, or the dialogue is rejected."""

    reject: bool = Field(default=False, description="reject dialogues that contain any")
    texts: list[str] | None = texts_field()


class SpeakSettings(TalkSettings):
    language: str = Field(default=ENGLISH, description="the language of the dialogues; default: the recipe's")
    max_turn_words: int = Field(
        default=120,
        ge=1,
        description="maximum number of spoken words in a turn; a longer user turn rejects the dialogue",
    )
    long: Literal["reject", "shorten", "split"] = Field(
        default="split",
        description="for an answer that is too long: 'reject' the dialogue, 'shorten' the answer to the first sentences that fit, or 'split' it "
        "into several turns, between which the user tells the agent to go on",
    )
    go_on: list[str] | None = texts_field()
    code: BlockSettings = BlockSettings()
    table: BlockSettings = BlockSettings()

    @field_validator("language")
    @classmethod
    def _has_a_grammar(cls, language: str) -> str:
        if language not in readable():
            known = ", ".join(readable())
            raise ValueError(f"it, or ingest.language, must be a language with a grammar and a voice ({known})")
        return language

    @model_validator(mode="after")
    def _has_its_phrases(self) -> "SpeakSettings":
        """Phrases must be in the dialogue's language."""
        for kind in () if has_phrases(self.language) else TalkSettings.model_fields:
            own = getattr(self, kind)
            texts = {"texts", "waits", "stops", "resumes"} & {*type(own).model_fields}
            if (getattr(own, "share", 0) or getattr(own, "per_minute", 0)) and (
                missing := [name for name in sorted(texts) if not getattr(own, name)]
            ):
                what = f"'{kind}.{missing[0]}' must be set for {name_of(self.language)}"
                raise ValueError(f"{what}: there are no built-in phrases in that language")
        return self


class Speak(Stage[Dialogue, Dialogue, SpeakSettings]):
    """Make every turn speakable, or reject the dialogue, naming the turn and the reason."""

    def setup(self) -> None:
        self.read = reader(self.settings.language)

    def process(self, records: Sequence[Dialogue]) -> list[Dialogue | Rejected]:
        return [self._speak(dialogue) for dialogue in records]

    def _speak(self, dialogue: Dialogue) -> Dialogue | Rejected:
        """Drops turns with only emoji or stage directions, if a dialogue remains."""
        blocks, go_on = draw(self.seed, dialogue.id, "blocks"), draw(self.seed, dialogue.id, "go_on")
        recorded = any(turn.recording for turn in dialogue.turns if turn.speaker == "user")
        read: list[Turn | None] = []
        wordless: list[BadDialogue] = []
        for number, turn in enumerate(dialogue.turns, 1):
            try:
                read.append(self._read(turn, blocks))
            except (Unspeakable, BadDialogue) as error:
                located = BadDialogue(error.reason, f"Turn {number} ({turn.speaker}): {error}")
                if error.reason not in WORDLESS:
                    return reject(dialogue, "speak", located)
                read.append(None)
                wordless.append(located)
        if wordless and not any(read := closed_up(read)):
            return reject(dialogue, "speak", wordless[0])
        turns: list[Turn] = []
        for number, one in enumerate(read, 1):
            try:
                turns += self._in_length(one, recorded, go_on) if one else []
            except BadDialogue as error:
                message = f"Turn {number} ({dialogue.turns[number - 1].speaker}): {error}"
                return reject(dialogue, "speak", BadDialogue(error.reason, message))
        turns = list(self._with_asides(turns, dialogue.id))
        return replace(dialogue, turns=tuple(turns), wordless_turns=len(wordless), language=self.settings.language)

    def _read(self, turn: Turn, random: Random) -> Turn:
        """The turn with its spoken text; raises `Unspeakable`, and `BadDialogue` if the recipe rejects code or tables."""
        text, blocks = with_phrases(turn.text, lambda kind: random.choice(self._block(kind)))
        text, directions = without_directions(text)
        try:
            spoken = self.read(with_items_apart(text))
        except Unspeakable as error:
            if directions and error.reason == "empty":
                raise BadDialogue("directions_only", "It has stage directions and nothing to say.") from None
            raise
        return replace(turn, spoken=spoken, left_out=(*blocks, *[DIRECTION] * directions))

    def _block(self, kind: str) -> Sequence[str]:
        """The phrases for a block of code or a table."""
        of, named = (self.settings.code, "code") if kind == CODE else (self.settings.table, "a table")
        if of.reject:
            raise BadDialogue(f"has_{kind}", f"It contains {named}, and speak.{kind}.reject is true.")
        said = phrases(self.settings.language)
        if not (texts := of.texts or (said.code if kind == CODE else said.table)):
            language = name_of(self.settings.language)
            raise BadDialogue(
                f"has_{kind}", f"It contains {named}, and speak.{kind}.texts has no phrase in {language} for it."
            )
        return texts

    def _in_length(self, turn: Turn, recorded_user: bool, random: Random) -> list[Turn]:
        """The turn, or the parts of an answer that is too long; raises `BadDialogue` if it can't be made shorter."""
        settings, words = self.settings, len(turn.spoken.split())
        most = settings.max_turn_words
        if words <= most:
            return [turn]
        too_long = f"It takes {words} spoken words, over the {most} of speak.max_turn_words"
        if settings.long == "reject":
            raise BadDialogue("turn_too_long", f"{too_long}.")
        if turn.speaker == "user" or turn.recording:
            uncut = "a recording" if turn.recording else "a user turn"
            raise BadDialogue("turn_too_long", f"{too_long}, and {uncut} is not cut.")
        try:
            if settings.long == "shorten":
                return [replace(turn, spoken=shortened(turn.spoken, most), edit="shortened")]
            if recorded_user:
                raise BadDialogue(
                    "turn_too_long", f"{too_long}, and a recorded user can't tell the agent to go on between its parts."
                )
            if not (go_on := settings.go_on or phrases(settings.language).go_on):
                raise BadDialogue(
                    "turn_too_long",
                    f"{too_long}, and speak.go_on has no phrase in {name_of(settings.language)} to say between its parts.",
                )
            first, *others = parts(turn.spoken, most)
        except Uncuttable as error:
            raise BadDialogue("turn_too_long", f"{too_long}, and it can't be cut: {error}.") from None
        made = [replace(turn, spoken=first, edit="part")]
        for part in others:
            made.append(Turn("user", text="", spoken=random.choice(go_on), event="turn", edit="added"))
            made.append(Turn("agent", text="", spoken=part, voice=turn.voice, edit="part"))
        return made

    def _with_asides(self, turns: Sequence[Turn], id: str) -> Iterator[Turn]:
        settings, said, chance = self.settings, phrases(self.settings.language), partial(draw, self.seed, id)
        turns = with_fillers(turns, settings.filler, settings.filler.texts or said.fillers, chance("filler"))
        texts = settings.backchannel.texts or said.backchannels
        backchannels = choose_backchannels(turns, settings.backchannel, texts, chance("backchannel"))
        texts = settings.agent_backchannel.texts or said.backchannels
        agents = choose_agent_backchannels(turns, settings.agent_backchannel, texts, chance("agent_backchannel"))
        starts = choose_false_starts(turns, backchannels, settings.false_start, chance("false_start"))
        texts = settings.side_talk.texts or said.side_talk
        talk = choose_side_talk(turns, settings.side_talk, texts, chance("side_talk"))
        texts = settings.reprompt.texts or said.reprompts
        reprompts = choose_reprompts(turns, talk, settings.reprompt, texts, chance("reprompt"))
        taken = {*backchannels, *starts, *talk, *reprompts}
        holds = choose_holds(turns, taken, settings.hold, said, chance("hold"))
        for index, turn in enumerate(turns):
            yield turn
            yield from (put_in("user", words, "backchannel") for words in backchannels.get(index, ()))
            if index in agents:
                yield put_in("agent", agents[index], "backchannel")
            if index in starts:
                yield put_in("user", starts[index], "false_start")
            if index in reprompts:
                yield put_in("agent", reprompts[index], "turn", "reprompt")
            yield from holds.get(index, ())
            if index in talk:
                yield put_in("user", talk[index], "side_talk")
