"""director: events that fit the words, written into a dialogue between `speak` and `cast`.

The events drawn by `speak` and `schedule` fall anywhere. Here, a user interrupts because of what is being said, says
"oh no" to bad news, searches for a word, and corrects one. Events are the turns, asides and words that the other
stages know; each is labeled in the corpus like any other event.

Each director is a stage, named in the recipe by its import path: `stages.directing.rules:RulesDirector` (the
default), `stages.directing.chat:ChatDirector` (an LLM)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from pydantic import Field

from manifests.direction import Direction
from manifests.errors import WorkError
from manifests.records import Dialogue
from stages.base import Settings, Stage, draw
from stages.directing.script import KINDS, Kind, Script, Unusable, check, lines_of
from stages.directing.writing import as_spoken, directed, undrawn
from stages.text.languages import ENGLISH
from stages.text.reader import reader


class DirectorSettings(Settings):
    language: str = Field(default=ENGLISH, description="the language of the dialogues; default: the recipe's")
    share: float = Field(
        default=1,
        ge=0,
        le=1,
        description="share of the dialogues that are directed; the others keep the drawn events",
    )
    kinds: list[Kind] = Field(default=list(KINDS), min_length=1, description="the kinds of events to write")
    max_events: int = Field(default=6, ge=1, le=50, description="maximum number of events in a dialogue")


Own = TypeVar("Own", bound=DirectorSettings)


class Director(Stage[Dialogue, Dialogue, Own]):
    """Write events into dialogues. A dialogue without usable events stays unchanged.

    Subclasses set a name and implement `scripts`.
    """

    @property
    def name(self) -> str:
        """The director's name in the corpus."""
        raise NotImplementedError

    def setup(self) -> None:
        self.read = reader(self.settings.language)

    def scripts(self, dialogues: Sequence[Dialogue]) -> Sequence[Script | Unusable]:
        """A script for each dialogue, or the reason why there is none."""
        raise NotImplementedError

    def perform(self, dialogue: Dialogue, script: Script) -> Dialogue:
        """The dialogue with the script's events; raises `Unusable` if they are out of bounds."""
        own, lines = self.settings, lines_of(dialogue)
        script = as_spoken(script, self.read)
        check(script, lines, own.kinds, own.max_events)
        return directed(dialogue, lines, script, own.kinds, self.name, self.read)

    def process(self, records: Sequence[Dialogue]) -> list[Dialogue]:
        """Raises `WorkError` if the dialogues have not been through `speak`."""
        for dialogue in records:
            if not all(turn.spoken for turn in dialogue.turns):
                raise WorkError("A director needs spoken words; put it after 'speak' in the recipe's stages.")
        chosen = [dialogue for dialogue in records if self._chooses(dialogue)]
        bare = [undrawn(dialogue, self.settings.kinds, self.read) for dialogue in chosen]
        made = {
            dialogue.id: self._direct(dialogue, plain, script)
            for dialogue, plain, script in zip(chosen, bare, self.scripts(bare), strict=True)
        }
        return [made.get(dialogue.id, dialogue) for dialogue in records]

    def _chooses(self, dialogue: Dialogue) -> bool:
        return draw(self.seed, dialogue.id, "director share").random() < self.settings.share

    def _direct(self, dialogue: Dialogue, bare: Dialogue, script: Script | Unusable) -> Dialogue:
        try:
            if isinstance(script, Unusable):
                raise script
            if script.events:
                return self.perform(bare, script)
            return replace(dialogue, direction=Direction(self.name))
        except Unusable as error:
            return replace(dialogue, direction=Direction(self.name, failed=error.reason))
