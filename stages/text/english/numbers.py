"""Large numbers, lists of numbers, and numbers read digit by digit or in pairs: codes, phone numbers, models."""

import re

from stages.text.english.rewriting import DIGIT_NAMES, DIGITS, readings, say_digits

_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_CODE = re.compile(
    r"(?i)\b(?:zip|postal|post|code|pin|id|acc(?:oun)?t|serial|order|tracking|card|routing|case|ticket|reference|ref|confirmation"
    r"|(?:customer|client|user|employee|phone|policy|batch|claim|student|room|membership) number|booking|isbn|ssn|license|license|plate|password|extension|ext|call|dial|text|invoice|number is|model|sku|part|member|passport"
    r"|[A-Z][a-z]+, (?-i:[A-Z]{2}))\b(?:\W{0,2}(?:number|no|code|id|is|was|#|to|at)\b)*\W{0,3}$"
)
"""The context before a code."""
_PHONE_CUE = re.compile(
    r"(?i)\b(?:phone|number is|call|reach|tel|fax|mobile|cell|contact|whatsapp|at)\b[^\d.?!]{0,15}$"
)
_PLACE = re.compile(r"(?:[A-Z][a-z]+,? [A-Z]{2}|[a-z] [A-Z][a-z]+,?|[A-Z][a-z]+ [A-Z][a-z]+,?) $")
_ENDS = re.compile(r"[.,;!?]|$| and\b| or\b| in\b")
"""A five-digit number between the two is a ZIP code."""
_LEAST_LONG, _LONGEST, _PHONE = 5, 15, (10, 11)
"""Digits of a number without commas: minimum, maximum, and as a phone number."""


def say_two(digits: str) -> str:
    """Two digits as in a year: "90" ninety, "05" oh five, "00" hundred."""
    tens, ones = int(digits[0]), int(digits[1])
    if digits == "00":
        return "hundred"
    if tens == 0:
        return f"oh {DIGIT_NAMES[ones]}"
    return _TEENS[ones] if tens == 1 else " ".join(filter(None, (_TENS[tens], DIGIT_NAMES[ones] if ones else "")))


def say_pairs(digits: str) -> str:
    """Up to five digits as in a model's name: "4090" forty ninety, "747" seven forty seven, "12400" twelve four
    hundred."""
    if len(digits) < 3:
        return say_two(digits) if len(digits) == 2 else DIGIT_NAMES[int(digits)]
    if len(digits) == 5:
        return f"{say_two(digits[:2])} {say_pairs(digits[2:])}"
    if digits.endswith("000"):
        return f"{DIGIT_NAMES[int(digits[0])]} thousand"
    first = DIGIT_NAMES[int(digits[0])] if len(digits) == 3 else say_two(digits[:2])
    return f"{first} {say_two(digits[-2:])}"


def say_groups(text: str) -> str:
    """Each group of digits digit by digit, with a short pause between groups."""
    return ", ".join(say_digits(group) for group in re.findall(r"\d+", text))


def _long(match: re.Match[str]) -> str:
    """10000 is a number, but ZIP codes, phone numbers and numbers with a leading zero are read as digits."""
    digits = match[0]
    before, after = match.string[: match.start()], match.string[match.end() :]
    if (
        digits[0] == "0"
        or (len(digits) == 5 and _PLACE.search(before) and _ENDS.match(after))
        or len(digits) > _LONGEST
        or (len(digits) in _PHONE and not digits.endswith("000"))
        or _CODE.search(before)
    ):
        return say_digits(digits)
    return f"{int(digits):,}"


def _short(match: re.Match[str]) -> str:
    return (
        say_digits(match[0])
        if re.search(r"(?i)\b(?:pin|code|password)\b(?: is)?:? $", match.string[: match.start()])
        else match[0]
    )


def _spaced(match: re.Match[str]) -> str:
    """Digits in groups: thousands ("12 345"), a list ("4 8 15"), or a phone, card or account number."""
    groups = match[0].split(" ")
    thousands = all(len(group) == 3 for group in groups[1:])
    if thousands and groups[0][0] != "0" and (len(groups) == 2 or len(groups[0]) < 3 or groups[-1] == "000"):
        return f"{int(''.join(groups)):,}"
    if thousands and all(group.endswith("0") for group in groups):
        return ", ".join(groups)
    if len(groups) == 2:
        return match[0]
    phone = _PHONE_CUE.search(match.string[: match.start()])
    if all(len(group) <= 2 and group[0] != "0" for group in groups) and not phone:
        return ", ".join(groups)
    return say_groups(match[0])


def _dashed(match: re.Match[str]) -> str:
    """3-4-5 is a triangle, 978-3-16-148410-0 a code."""
    groups = match[0].split("-")
    if re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}-\d{1,2}-(?:\d{2}|\d{4})|(?:1-)?\d{3}-\d{3}-\d{4}", match[0]):
        return match[0]
    return " ".join(groups) if max(map(len, groups)) < 3 and len(groups) < 4 else say_groups(match[0])


def _model(match: re.Match[str]) -> str:
    return f"{match[1]} {say_pairs(match[2])}" + (f" {match[3]}" if match[3] else "")


_NOT_MODELS = (
    "USD|EUR|GBP|CAD|AUD|JPY|CHF|INR|CNY|NZD|HKD|AD|BC|CE|BCE|ISBN|IN|OF|TO|AT|ON|BY|AND|THE|PIN|ZIP|ID|SSN|SKU"
)
_UNTIED = r"(?<![\w.,:/$€£#+-])"
CODES = readings(
    (r"\b0x([0-9A-Fa-f]+)\b", lambda m: "zero x " + " ".join(DIGITS.get(char, char.upper()) for char in m[1])),
    (r"\b(ISBN(?:-1[03])?:?|SSN:?) ([\d-]{9,})", lambda m: f"{m[1]} {say_groups(m[2])}"),
    (rf"{_UNTIED}(\d{{5,}})-([A-Z]{{1,4}})\b", lambda m: f"{say_digits(m[1])} {m[2]}"),
    (r"(?<![\d-])\b(7[0-8]7)-([1-9]0?0?)\b(?!-?\d)", lambda m: f"{say_pairs(m[1])} {say_pairs(m[2])}"),
    (r"(?<=\b[Aa] )(7[0-8]7)\b(?! [a-z]+s\b)|(?<=Boeing )(7[0-8]7)\b", lambda m: say_pairs(m[0])),
    (r"\b(7[0-8]7)s\b", lambda m: say_pairs(m[1]) + "s"),
    (r"\b(A3[0-9]0)(?:-(\d{3,4}))?\b", lambda m: f"A {say_pairs(m[1][1:])}" + (f" {say_pairs(m[2])}" if m[2] else "")),
    (r"\b(i[3579])-(\d{4,5})([A-Z]{0,2})\b", lambda m: f"{m[1][0]} {m[1][1]} {say_pairs(m[2])} {m[3]}".rstrip()),
    (rf"\b(?!(?:{_NOT_MODELS})\b)([A-Z]{{2,4}})[ -]?(\d{{4}})([A-Z]{{1,2}})?\b(?![-/.,]\d)", _model),
    (r"(?<=[a-z\d] )()([1-9]\d{3})([A-Z]{1,2}\d?)\b", lambda m: f"{say_pairs(m[2])} {m[3]}"),
    (r"(?<![\w.,])([1-9]\d{2,3})p\b", lambda m: f"{say_pairs(m[1])} p"),
    (r"(?<![\w.,])([1-9]\d{2,3})\s?[x×]\s?([1-9]\d{2,3})(?![\w.])", lambda m: f"{say_pairs(m[1])} by {say_pairs(m[2])}"),
    (r"(?<![\w+-])\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,}(?![\w-])", lambda m: f"plus {say_groups(m[0])}"),
    (r"\((\d{3})\)\s?(\d{3})-(\d{4})\b", r"\1-\2-\3"),
    (r"(?<=Porsche )911\b", "nine eleven"),
    (r"\b911\b", lambda m: say_digits(m[0])),
    (r"\b([Cc]all|[Dd]ial|[Tt]ext) (\d{3})(?=[.,;!?]|$| (?:now|if|for|or|and|to|in|immediately)\b)", lambda m: f"{m[1]} {say_digits(m[2])}"),
    (r"\b([A-Z])\.(?=\d{3}\b)|\b([A-Z]{2,})(?=\d+\.\d)", lambda m: f"{m[1] or m[2]} "),
    (r"\b(\d+\.\d+\.\d+\.\d+):(\d+)\b", r"\1 port \2"),
    (r"\b\d{1,3}(?:'\d{3})+\b", lambda m: m[0].replace("'", ",")),  # 10'000, as the Swiss write
    (r"(?<![\w.,])\d{1,2}(?:,\d{2})+,\d{3}\b", lambda m: f"{int(m[0].replace(',', '')):,}"),  # lakhs
    (r"\b([1-9]\d{3}) (?=(?:GPU|Ti|Super|RPM)\b)", lambda m: f"{say_pairs(m[1])} "),
    (rf"\b(?!(?:{_NOT_MODELS})\b)([A-Z]{{2,4}})[ -]?(\d{{3}})\b()(?![-/.,:%]\d|%| people| [a-z]+s\b)", _model),
    (rf"{_UNTIED}\d{{1,3}}(?:_\d{{3}})+\b", lambda m: m[0].replace("_", ",")),
    (r"(?<![\d.,$€£/:-])\d{1,4}(?: \d{2,4})+(?![.,/:-]?\d|[A-Za-z°%])", _spaced),
    (r"(?<![\w.,$€£/:+-])\d(?: \d)+(?![.,/:-]?\d|[A-Za-z°%])", lambda m: m[0].replace(" ", ", ")),
    (rf"{_UNTIED}\d+(?:-\d+){{2,}}(?![\w-])", _dashed),
    (r"(?<![\d.)-])(?<![\d)] )(\d{3})-(\d{4})(?![\d-])", lambda m: f"{say_digits(m[1])}, {say_digits(m[2])}"),
    (rf"{_UNTIED}(\d{{2}}-\d{{7}})\b", lambda m: say_groups(m[1])),
    (rf"(?<![\w.,:/-])\d{{{_LEAST_LONG},}}(?=(?:st|nd|rd|th)?\b)(?![:/-]?\d|[.,]\d)", _long),
    (r"(?<![\w.,:/$€£-])\d{4}(?![\w:/%°-]|[.,]\d)", _short),
    (r"(?<=[\d])\+(?=[\s.,;!?)]|$)", " plus"),
)  # fmt: skip
