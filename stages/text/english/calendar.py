"""Dates, decades and times of day."""

import re

from stages.text.english.numbers import say_pairs
from stages.text.english.rewriting import ordinal, readings

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_MONTH = "|".join([*MONTHS, *(rf"{month[:3]}\.?" for month in MONTHS), r"Sept\.?"])
_DAYS = {"Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thur": "Thursday",
         "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday"}  # fmt: skip
_NAMES = {**_DAYS, **{month[:3]: month for month in MONTHS}, "Sept": "September"}
_SPANNED = "|".join([*_NAMES, *_DAYS.values(), *MONTHS])
_DECADES = {"1": "tens", "2": "twenties", "3": "thirties", "4": "forties", "5": "fifties", "6": "sixties", "7": "seventies",
            "8": "eighties", "9": "nineties"}  # fmt: skip
_CUE = r"\b(?:(?:[Dd]eadline|[Dd]ate|[Dd]ue|[Bb]irthday|[Ww]hen):|(?:birthday|anniversary|deadline|date|wedding|party|appointment|meeting|exam|flight|test) (?:is|was)|on|by|since|until|till|due|dated|starting|ending|before|after|through|from|(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Satur|Sun)(?:day)?,?)"
_SURE = re.compile(r"(?i)\b(?:on|is|was|dated|due|\w+day,?) $")
_FRACTIONS = {"1/2", "1/3", "2/3", "1/4", "3/4", "1/5", "1/8"}
_AGE = r"\b(?:the|The|his|her|their|my|your|our|its|in|early|mid|late|low|high|upper|lower|roaring|Roaring|swinging|Swinging|Early|Mid|Late)[ -]'?"


def _full(name: str) -> str:
    return _NAMES.get(name.rstrip("."), name)


def _day(date: str) -> str | None:
    """ "3/5" → "March 5th"; day first if it can't be the month."""
    month, day = (int(part) for part in date.split("/"))
    if month > 12:
        month, day = day, month
    return f"{MONTHS[month - 1]} {ordinal(day)}" if 1 <= month <= 12 and 1 <= day <= 31 else None


def _slashed(match: re.Match[str]) -> str:
    if match[2] in _FRACTIONS and not _SURE.search(match[1]):
        return match[0]
    first, second = _day(match[2]), _day(match[4]) if match[4] else None
    if not first or (match[4] and not second):
        return match[0]
    joint = match[3] if match[3] and match[3].strip(" -–") else " to "
    return f"{match[1]}{first}" + (f"{joint}{second}" if second else "")


SPANS = rf"\b(?:{_SPANNED})-(?:{_SPANNED})\b|\b[Aa]-[Zz]\b|\b(?:{'|'.join(_DAYS)}),"
"""Days or months that can be joined by a hyphen."""


def _plural(digits: str) -> str:
    """ "7" → sevens, "50" → fifties."""
    name = say_pairs(digits)
    return name[:-1] + "ies" if name.endswith("y") else name + ("es" if name.endswith("x") else "s")


CALENDAR = readings(
    (r"(?<=\d)T(?=\d{2}:\d{2})", " "),
    (rf"\b({_SPANNED})\.? ?[-–] ?({_SPANNED})\b(?!-)", lambda m: f"{_full(m[1])} to {_full(m[2])}"),
    (rf"\b({'|'.join(_DAYS)})(?:\.(?= [a-z0-9])|\.?,(?= (?:{_MONTH}|\d))| (?=(?:{_MONTH}) \d))", lambda m: _full(m[1])),
    (rf"\b({_MONTH}) (\d{{1,2}}) ?[-–] ?(\d{{1,2}})\b(?![:/-])", lambda m: f"{m[1]} {ordinal(int(m[2]))} to {ordinal(int(m[3]))}"),
    (rf"(?i)({_CUE} )(?<![\w/])(\d{{1,2}}/\d{{1,2}})(?:( to | and | or | through | until | ?[-–] ?)(\d{{1,2}}/\d{{1,2}}))?(?![\w/]|\.\d| of\b)", _slashed),
    (r"\b(?:the )?20([1-9])0s\b", lambda m: ("the " if m[0][0] == "t" else "") + f"twenty {_DECADES[m[1]]}"),
    (r"\b(\d{4})s-era\b", r"\1s era"),
    (rf"({_AGE})'?([2-9])0s\b", lambda m: m[1].rstrip("'").replace("-", " ") + _DECADES[m[2]]),
    (r"(\b(?:twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties|\d{4}s) (?:and|or|to|through) )'?([2-9])0s\b", lambda m: m[1] + _DECADES[m[2]]),
    (r"\b([2-9])0s (and|or|to|through) '?([2-9])0s\b", lambda m: f"{_DECADES[m[1]]} {m[2]} {_DECADES[m[3]]}"),
    (r"\b([2-9])0s(?= (?:hip|rap|grunge|disco|dance|nostalgia|aesthetic|tv|TV|cartoons?|classics?|alternative|jazz|soul|icons?|trends?|kids?|music|movies?|songs?|shows?|style|vibes?|hits?|fashion|rock|pop|party|theme[ds]?|films?|hair|sitcoms?|bands?)\b)", lambda m: _DECADES[m[1]]),
    (r"(?<!\w)'([2-9])0s\b", lambda m: _DECADES[m[1]]),
    (r"\b(mid|early|late)-(?=\d{4}s|[a-z]+ies\b)", r"\1 "),
    (r"\b((?:[Uu]nder|[Oo]ver)[- ]|(?:two|three|four|five|six) )(\d{1,2})s\b", lambda m: m[1] + _plural(m[2])),
    (r"\b(10|100|1000)s(?= of\b)", lambda m: {"10": "tens", "100": "hundreds", "1000": "thousands"}[m[1]]),
    (r"(?i)\b(\d{1,2})\.(\d{2}) ?(?=[ap]\.?m\b)", r"\1:\2 "),
    (r"\b([Nn]oon|[Mm]idnight) ?[-–] ?(?=\d)", r"\1 to "),
    (r"(?i)(?<=[ap]m)\s?[-–]\s?(?=\d)", " to "),
    (r"\b(\d{1,2}):0([1-9])(?![\d:])(?! ?-)", r"\1 oh \2"),
)  # fmt: skip
