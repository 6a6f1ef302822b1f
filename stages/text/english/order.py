"""All readings of a line, in the order of application: things that only look like numbers come first."""

import re
from collections.abc import Callable, Iterator

from stages.text.english.calendar import CALENDAR, SPANS
from stages.text.english.mathematics import MATHEMATICS, MINUS
from stages.text.english.money import CODE, MONEY, SIGN
from stages.text.english.names import NAMES, WORDS_TO_READ
from stages.text.english.numbers import CODES
from stages.text.english.rewriting import readings, rewrite
from stages.text.english.slashes import SLASHES
from stages.text.english.units import UNIT_POWERS, UNITS
from stages.text.english.web import WEB
from stages.text.grammar import is_abbreviation

_QUOTES = readings((r'(?<![^\s(])"([^"]+)"(?!\w)', r"\1"))  # the quote after "Chapter 1" does not mean inches
_FIRST = readings(
    (r"^\W*(?:[→⇒]|-+>|=+>)\s*", ""),  # an arrow as a bullet
    (r"\s*[—―]+\s*|(?<!-)--+(?!-)", ", "),
    (r"-+>|=+>", " to "),
    (r"\b50[-–]50\b", "50 50"),
    (r"&", " and "),
)
_SENTENCES = readings(
    (r"(?<=[a-z)])([.?!])(?=[A-Z])", r"\1 "),  # 'nice.It' is two sentences, not a host
)
_SPACES = readings((r" {2,}", " "))
_DASHES = readings(
    (r"\s+[-–]+\s+(?!\d)", ", "),
    (r"(?<=[^\W\d])–|–(?=[^\W\d])", ", "),
    (r"–", "-"),
    (r"\b([Aa])-([Zz])\b", r"\1 to \2"),
    (r"\b([A-Z])(\d+)-(\1\d+)\b", r"\1\2 to \3"),
)
_MARKS = readings(
    (r"=", " equals "),
    (r"(?<=\s)>(?=\s)|(?<=\d)>(?=\d)", " greater than "),
    (r"(?<=\s)<(?=\s)|<(?=\d)", " less than "),
    (r"_{2,}", " blank "),
    (r"\b([CF])#", r"\1 sharp"),
    (r"~(?=\s*[$€£]?\d)", "about "),
    (r"(?<![\d.])\d{1,2}(?:\.\d{1,2}){2,}(?!\.?\d)", lambda m: m[0].replace(".", " point ")),
    (r"\b[vV]\.?\s?(?=\d+(?:\.\d+|\b))", "version "),
    (r"\s*\|\s*", ", "),
    (r"[\[\]{}<>*~©®™•]|\^(?!\w)", " "),  # layout marks, which are not read aloud
)
_ORDER = [
    (re.compile(needed), table)
    for needed, table in (
        (r"[@#~\\*_:]|\w[./]|(?:^|\s)[./]", WEB),
        (r"[-–—―→⇒=&]", _FIRST),
        ("", NAMES),
        (r"[.?!][A-Z]", _SENTENCES),
        (r"[\d.,–-]", CALENDAR),
        (r"\^", UNIT_POWERS),
        (r"[\^*/=<>≤≥≠√∛(!_×]|\d[eE]| [xX] |\b(?:sin|cos|tan)\b", MATHEMATICS),
        ("  ", _SPACES),
        (rf"{SIGN}|[¢-]|\b(?:{CODE})", MONEY),
        (r"\d", CODES),
        (r"[/:]", SLASHES),
        (r"[−–-]", MINUS),
        (r"[–-]", _DASHES),
        (r"\d|/[hs]\b", UNITS),
        ("", _MARKS),
    )
]
"""The tables, each with a pattern found in every sentence it changes: searching for it is faster than applying them."""
_NEEDS = re.compile("|".join([WORDS_TO_READ, SPANS]))
_BOUNDARY = re.compile(r"(?<=[a-z]{4}[.?!]) (?=[A-Z])")


def needs_reading(text: str) -> bool:
    """Whether plain text has words that are not read as written: numerals, abbreviations, "Mon-Fri"."""
    return _NEEDS.search(text) is not None


def read_sentences(line: str, is_spoken: Callable[[str], bool]) -> str:
    """Each sentence of a line with its written forms expanded. Most sentences of an answer are plain words and pass
    unchanged."""
    line = rewrite(line, _QUOTES)
    return " ".join(part if is_spoken(part) else _read(part) for part in _sentences(line))


def _sentences(line: str) -> Iterator[str]:
    start = 0
    for boundary in _BOUNDARY.finditer(line):
        if not is_abbreviation(line[start : boundary.start()].rsplit(" ", 1)[-1]):
            yield line[start : boundary.start()]
            start = boundary.end()
    yield line[start:]


def _read(text: str) -> str:
    for needed, table in _ORDER:
        if needed.search(text):
            text = rewrite(text, table)
    return text
