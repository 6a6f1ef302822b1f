"""Powers, differences, comparisons, functions. A minus read as "to", or not at all, would change the meaning."""

import re

from stages.text.english.money import SIGN
from stages.text.english.rewriting import NUMBER, readings

_ASKED = re.compile(
    r"(?i)(?:what is|what's|whats|calculate|compute|solve|evaluate|subtract|how much is|minus|plus|times|equals)\W*$"
)
_RECKONS = re.compile(rf"(?:\s*[-–]\s*{NUMBER})*\s*(?:[=+*×÷^<>≤≥≈≠]|[/] |equals\b|is -?\d|minus\b|plus\b|times\b)")
_COUNTS = re.compile(r"(?:[=+*×÷^<>≤≥≈]|minus) ?$")
_GAME = re.compile(
    r"(?i)\b(?:score|scored|won|win|wins|lost|lose|beat|lead|leads|game|match|final|victory|defeat|tied?|draw|from|between|open|hours"
    r"|pages?|ages?|chapters?|verses?|lines?|weekdays|daily|\w+days?|seeds?)\b[^.?!]*$"
)
_EXPONENTS = {"2": "squared", "3": "cubed"}


def _power(match: re.Match[str]) -> str:
    exponent = (match[1] or match[2]).replace("−", "-").strip()
    words = _EXPONENTS.get(exponent) or f"to the power of {re.sub('^- ?', 'minus ', exponent)}"
    return f" {words} "


def _dash(match: re.Match[str]) -> str:
    """A dash between two numbers is a minus or means "to": the surrounding arithmetic, or a decrease, decides."""
    left, right = match["left"], match["right"]
    before, after = match.string[: match.start()], match.string[match.end() + len(right) :]
    reckons = _ASKED.search(before) or _COUNTS.search(before) or _RECKONS.match(after)
    falls = match["gap"] and _value(left) >= _value(right) and not _GAME.search(before)
    return f"{left} minus " if reckons or falls else f"{left} to "


def _value(text: str) -> float:
    above, _, below = re.sub(r"[^\d./]", "", text).partition("/")
    return float(above) / (float(below or 1) or 1)


_AMOUNT = rf"{SIGN}?{NUMBER}(?:/\d+)?%?"
_VARIABLE = r"\d*[b-hj-z]"
MINUS = readings(
    (r"−", " minus "),
    (r"(?<=[=(,+*/^<>≤≥≈×÷])(\s*)-(?=[a-z]\b|\()", r"\1minus "),
    (r"(\d[\w.,%°]*(?: [a-z]+)?) [-–] (?=[$€£]?\d[^=.?!–-]{0,20}=)", r"\1 minus "),  # 5 kg - 3 kg = 2 kg
    (r"^-(?=[a-z]\b\s*[-+=*/^])", "minus "),
    (r"(?<![\w)\]%.°'\"/-])-(?=\.?\d)", " minus "),
    (rf"(?<![\w'])({_VARIABLE}|[A-Z]|\)|\w (?:squared|cubed)|power of \w+) +[-–] +(?=(?:{NUMBER})?(?:[a-zA-Z]\b|\()|\d)(?!a [a-z])", r"\1 minus "),
    (rf"(?<![\w.,])({NUMBER}) +[-–] +(?={_VARIABLE}\b|\()", r"\1 minus "),
    (r"(?<=[a-z]) +[-–] +(?=[a-z]\b(?:\s*[=,.?+*]|$))(?<=\b[a-z] .)(?<! )", " minus "),
    (r"(?<![\w'.-])(a|[b-df-hj-z]) [-–] (?=[a-z]\b(?!['-]))", r"\1 minus "),
    (r"(?<![\w'.-])([a-df-hj-z])-(?=\d{1,2}\b(?![-:./]\d))", r"\1 minus "),
    (rf"(?<![\w.,:/-])(?P<left>{_AMOUNT})(?P<gap> ?)[-–](?P=gap)(?!\d{{4}}\b(?<=\d{{3}}-\d{{4}}))(?=(?P<right>{_AMOUNT})(?!\d|[\w:/-]*[:/-]\d|\.\d|-[A-Z]))", _dash),
    (r"(?<![\w-])([A-DFO]|AB)-(?=[\s.,;!?)]|$)(?!\s(?:and|or|to) \w+-)", r"\1 minus"),
)  # fmt: skip
MATHEMATICS = readings(
    (r"\s?(?:!=|≠)\s?", " is not equal to "),
    (r"\s?(?:<=(?!=)|≤)\s?", " is at most "),
    (r"\s?(?:>=|≥)\s?", " is at least "),
    (r"\s==+\s", " equals "),
    (r"\b([fghFG])\((?=[\w-])", r"\1 of ("),
    (r"\b(sin|cos|tan)(?=\^|\(|\s[a-zθ]\b)", lambda m: {"sin": "sine", "cos": "cosine", "tan": "tangent"}[m[1]]),
    (r"\blog_(\w+)\s?\(", r"log base \1 of ("),
    (r"\b(log|ln|sine|cosine|tangent)\(", r"\1 of ("),
    (r"(?<![\w.])(\d(?:\.\d+)?)[eE]([+-]?\d{1,3})\b", lambda m: f"{m[1]} times 10^{m[2].lstrip('+')}"),
    (r"\^\(?(\d?)([+−-])\)?(?![\w(])", lambda m: f" {m[1]} {'plus' if m[2] == '+' else 'minus'} "),
    (r"(?<=[A-Za-z]{4})(?<!sine)(?<!gent)\^\((\d)\)", r" \1"),
    (r"\^\(([^()]*)\)|\^([-−]?(?:\d+(?:\.\d+)?|[A-Za-z]{1,2})(?![\w]))", _power),
    (r"(?<=\d)\s?[xX]\s?(?=10 to the power|10 squared|10 cubed)", " times "),
    (r"(?<![\w.])(\d+|[a-z])!(?=\s*[=+*/×÷])", r"\1 factorial"),
    (r"√\s?", " the square root of "),
    (r"∛\s?", " the cube root of "),
    (r"(?<=\d)\s+\*\s+(?=\d)|(?<=\d)\s\*\s(?=\()|(?<=\))\s?\*\s?(?=[\w(])|(?<=\b[a-z])\s\*\s(?=[a-z]\b)", " times "),
    (r"(?<=\d)\s+[xX]\s+(?=\d+(?:\.\d+)?\s*(?:=|equals))", " times "),
    (r"(?<=\d)\s+/\s+(?=\d)", " divided by "),
    (r"(?<![\w/])(\d+|[knpqx-z])/(?=[a-z]\b(?![/.'-]))", r"\1 over "),
)  # fmt: skip
