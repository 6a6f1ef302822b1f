"""The languages that dialogues can be built in: those that NeMo's text-processing grammar reads and eSpeak NG has a voice for.

English has rules of its own, in `normalize`; what the others need beside the grammar is data, in `languages.yaml`. Left out are Japanese and
Chinese, which write no spaces between words, so that words can't be timed, Russian, whose grammar gives no single reading, and
Kinyarwanda, which eSpeak NG doesn't speak.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml
from pydantic import Field

from stages.base import Settings

ENGLISH = "en"


class Language(Settings):
    """How a language is read and spoken."""

    name: str
    voices: tuple[str, ...]
    """eSpeak NG's accents of it, the agent's first."""
    letters: str = ""
    """Its letters beside the Latin ones, as ranges of a regular expression."""
    dot: str
    minus: str
    to: str | None = None
    """Between the ends of a range, "ten to fifteen"."""
    thousands: str = ""
    """What stands between groups of three digits."""
    before: Mapping[str, str] = Field(default={})
    """Regular expressions and what takes their place, before the grammar reads a line."""
    after: Mapping[str, str] = Field(default={})
    """The same, in what the grammar has read, with the two words before that."""
    cased: tuple[str, ...] = ()
    """Words that the grammar writes in lower case."""
    ordinal_after: frozenset[str] = frozenset()
    """Words behind which "2." is an ordinal."""
    digits: tuple[str, ...]
    words: Mapping[str, str]
    """Abbreviations and symbols, and how they are read."""


@cache
def languages() -> dict[str, Language]:
    """All but English, by their ISO 639-1 codes."""
    data = yaml.safe_load(Path(__file__).with_name("languages.yaml").read_text("utf-8"))
    return {code: Language.model_validate(own) for code, own in data.items()}


def readable() -> list[str]:
    """The codes of the languages that `speak` reads."""
    return sorted([ENGLISH, *languages()])


def name_of(code: str) -> str:
    """A language's name in English; its code where it has none here."""
    if code == ENGLISH:
        return "English"
    return languages()[code].name if code in languages() else f"'{code}'"
