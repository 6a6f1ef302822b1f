"""All readings of a line, in the order they are applied: what looks like a number and is none comes first."""

import re

from stages.text.english.calendar import CALENDAR, SPANS
from stages.text.english.mathematics import MATHEMATICS, MINUS
from stages.text.english.money import MONEY
from stages.text.english.names import NAMES, WORDS_TO_READ
from stages.text.english.numbers import CODES
from stages.text.english.rewriting import readings
from stages.text.english.slashes import SLASHES
from stages.text.english.units import UNIT_POWERS, UNITS
from stages.text.english.web import WEB

_FIRST = readings(
    (r"^\W*(?:[→⇒]|-+>|=+>)\s*", ""),  # an arrow as a bullet
    (r'(?<![^\s(])"([^"]+)"(?!\w)', r"\1"),  # the quote behind "Chapter 1" is no inch
    (r"\s*[—―]+\s*|(?<!-)--+(?!-)", ", "),
    (r"-+>|=+>", " to "),
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
    (r"#(?=\s?\d)", " number "),
    (r"~(?=\s*[$€£]?\d)", "about "),
    (r"(?<![\d.])\d{1,2}(?:\.\d{1,2}){2,}(?!\.?\d)", lambda m: m[0].replace(".", " point ")),
    (r"\b[vV]\.?\s?(?=\d+(?:\.\d+|\b))", "version "),
    (r"\s*\|\s*", ", "),
    (r"[\[\]{}<>*~©®™•]|\^(?!\w)", " "),  # marks of layout that nobody reads out
)
ENGLISH = [
    *WEB, *_FIRST, *NAMES, *_SENTENCES, *CALENDAR, *UNIT_POWERS, *MATHEMATICS, *_SPACES, *MONEY, *CODES, *SLASHES, *MINUS, *_DASHES, *UNITS, *_MARKS,
]  # fmt: skip
_NEEDS = re.compile("|".join([WORDS_TO_READ, SPANS]))


def needs_reading(text: str) -> bool:
    """Whether text of nothing but words holds some that are not read as they are written: numerals, abbreviations, "Mon-Fri"."""
    return _NEEDS.search(text) is not None
