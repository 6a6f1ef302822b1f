"""The languages of dialogues: those with a NeMo text-processing grammar and an eSpeak NG voice.

English has its own rules, in `normalize`; what the others need besides the grammar is data, in `languages.yaml`. Not
included are Japanese and Chinese, which have no spaces between words, so that words can't be timed; Russian, whose
grammar has no unique reading; and Kinyarwanda, which eSpeak NG does not speak."""

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
    """eSpeak NG's accents, the agent's first."""
    letters: str = ""
    """Its letters besides the Latin ones, as ranges of a regular expression."""
    dot: str
    minus: str
    to: str | None = None
    """Between the ends of a range, "ten to fifteen"."""
    thousands: str = ""
    """The thousands separator."""
    before: Mapping[str, str] = Field(default={})
    """Regular expressions and replacements, applied before the grammar."""
    after: Mapping[str, str] = Field(default={})
    """The same, applied to the grammar's reading with the two words before it."""
    cased: tuple[str, ...] = ()
    """Words that the grammar writes in lower case."""
    ordinal_after: frozenset[str] = frozenset()
    """Words after which "2." is an ordinal."""
    digits: tuple[str, ...]
    words: Mapping[str, str]
    """Abbreviations and symbols, and how they are read."""


@cache
def languages() -> dict[str, Language]:
    """All languages except English, by ISO 639-1 code."""
    data = yaml.safe_load(Path(__file__).with_name("languages.yaml").read_text("utf-8"))
    return {code: Language.model_validate(own) for code, own in data.items()}


def readable() -> list[str]:
    """The codes of the languages that `speak` reads."""
    return sorted([ENGLISH, *languages()])


def name_of(code: str) -> str:
    """A language's English name; its code if the language is unknown."""
    if code == ENGLISH:
        return "English"
    return languages()[code].name if code in languages() else f"'{code}'"
