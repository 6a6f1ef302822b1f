"""Readings as data: patterns and their replacements."""

import re
from collections.abc import Callable, Iterable

Readings = list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]

NUMBER = r"(?:\d{1,3}(?:,\d{2,3})+(?!\d)|\d+)(?:\.\d+)?"
"""With commas between thousands, or lakhs, or without."""
DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGITS = {str(value): name for value, name in enumerate(DIGIT_NAMES)}


def readings(*pairs: tuple[str, str | Callable[[re.Match[str]], str]]) -> Readings:
    return [(re.compile(pattern), replacement) for pattern, replacement in pairs]


def rewrite(text: str, table: Iterable[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]) -> str:
    """`text` with each reading of `table` applied, in its order."""
    for pattern, replacement in table:
        text = pattern.sub(replacement, text)
    return text


def say_digits(text: str) -> str:
    return " ".join(DIGITS[char] for char in text if char in DIGITS)


def ordinal(number: int) -> str:
    """ "3rd"; the grammar reads it."""
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
