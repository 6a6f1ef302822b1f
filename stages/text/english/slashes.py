"""Slashes and colons between numbers: shares, ratings, pressures, ratios, verses; and slashes between letters."""

import re

from stages.text.english.numbers import say_pairs
from stages.text.english.rewriting import readings

_ASPECTS = {"16:9", "9:16", "4:3", "3:4", "16:10", "21:9", "32:9", "18:9", "5:4"}
_RATIO_BEFORE = re.compile(r"(?i)\b(?:ratio|odds|scale|proportions?|mix(?:ed)?|dilute[d]?|split)\b[^.?!]{0,20}$")
_RATIO_AFTER = re.compile(r"(?i) (?:ratio|scale|odds|mix|proportions?|split|dilution)\b")
_RATED = re.compile(
    r"(?i)\b(?:rat(?:e|ed|es|ing)|scor(?:e|ed|es|ing)|g[ai]ve|got|get|review|say|solid|grade[d]?|an?)\b[^.?!]{0,20}$"
)
_STARS = re.compile(r"(?i) (?:stars?|points?|marks?|on (?:the|my|a)\b|would|correct)")
_STEPS = re.compile(r"(?i)\b(?:step|page|part|slide|day|chapter|level|question|round|task|phase)s? $")
_BOOKS = (
    "Genesis|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|Nehemiah|Esther|Job|Psalms?|Proverbs"
    "|Ecclesiastes|Isaiah|Jeremiah|Lamentations|Ezekiel|Daniel|Hosea|Joel|Amos|Jonah|Micah|Zechariah|Malachi|Matthew|Mark|Luke|John|Acts"
    "|Romans|Corinthians|Galatians|Ephesians|Philippians|Colossians|Thessalonians|Timothy|Titus|Hebrews|James|Peter|Jude|Revelation|Surah"
)


def _slash(match: re.Match[str]) -> str:
    """One number over another: a split ("80/20"), a rating, a blood pressure, or else a fraction, which the grammar
    reads."""
    left, right = match[1], match[2]
    before, after = match.string[: match.start()], match.string[match.end() :]
    if "." in left or "." in right:
        return f"{left} out of {right}"
    a, b = int(left), int(right)
    if (left, right) == ("9", "11") or (a == b == 20) or (a + b == 100 and a % 5 == 0 and b > 1):
        return f"{left} {right}" if b != 11 else "nine eleven"
    if 70 <= a <= 250 and 40 <= b <= 150 and a > b and b != 100:
        return f"{say_pairs(left) if a > 99 else left} over {right}"
    if _STEPS.search(before):
        return f"{left} of {right}"
    rated = b in (5, 10, 20, 25, 30, 40, 50, 100) and (_RATED.search(before) or _STARS.match(after))
    if b > 1 and (a == b or (rated and not re.match(r" of (?:an?|the)\b| inch| mile| cup", after))):
        return f"{left} out of {right}"
    return match[0]


def _colon(match: re.Match[str]) -> str:
    """A ratio, or a time, which the grammar reads."""
    left, right, third = match[1], match[2], match[3]
    clock = len(right) == 2 and int(right) < 60 and int(left) < 25 and right[0] < "6"
    ratio = _RATIO_BEFORE.search(match.string[: match.start()]) or _RATIO_AFTER.match(match.string, match.end())
    if not third and not ratio and match[0] in _ASPECTS:
        return f"{left} by {right}"
    if third:
        return f"{left} to {right} to {third}" if len(right) == 1 else match[0]
    return f"{left} to {right}" if ratio or not clock else match[0]


SLASHES = readings(
    (r"\b24/7/365\b", "twenty four seven three sixty five"),
    (r"\b24/7\b", "twenty four seven"),
    (r"(?<![\w/.,$:-])(\d{1,3}(?:\.\d+)?)/(\d{1,3})(?![\w/:-]|\.\d)", _slash),
    (rf"\b((?:{_BOOKS}) \d{{1,3}}):(\d{{1,3}})\b(?!:)", r"\1 \2"),
    (r"(?<![\d:.,/])(\d{1,3}):(\d{1,3})(?::(\d{1,3}))?(?![\d:.,]?\d)(?! ?[apAP]\.?[mM])", _colon),
    (r"(?<![\w/.])[A-Z]{1,4}(?:/[A-Z]{1,4})+(?![\w/])", lambda m: m[0].replace("/", " ")),
)  # fmt: skip
