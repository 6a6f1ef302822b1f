"""Written chat text → the words a voice reads.

The reading of numbers, dates, times, money, phones and units is NeMo's text-processing grammar (Zhang et al. 2021,
"NeMo Inverse Text Normalization", arXiv:2104.05055), markdown is read by markdown-it-py and emoji by `emoji`. What is
here is the order of these, the few readings where chat wants another than the grammar's, and the refusals: text that a
voice cannot say is refused with a reason, never repaired.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import emoji
from ftfy.badness import is_bad
from markdown_it import MarkdownIt

from stages.text.grammar import load_grammar
from stages.text.spans import LETTER, WORD, SpanReader, is_abbreviation

if TYPE_CHECKING:
    from markdown_it.token import Token

_PASSES = 5
"""Passes allowed to reach a text that reads as itself, so that a reading read again is the same."""

_DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = {str(value): name for value, name in enumerate(_DIGIT_NAMES)}

_STREETS = {"St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Dr": "Drive", "Ln": "Lane",
            "Ct": "Court", "Pl": "Place", "Hwy": "Highway", "Pkwy": "Parkway"}  # fmt: skip

_SYMBOLS = {
    "+": "plus", "=": "equals", "@": "at", "%": "percent", "/": "slash", "\\": "backslash", "#": "number", "&": "and",
    "$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₹": "rupees", "₩": "won", "¢": "cents", "°": "degrees",
    "×": "times", "÷": "divided by", "±": "plus or minus", "≈": "approximately", "≠": "is not equal to",
    "≤": "is at most", "≥": "is at least", "−": "minus", "√": "the square root of", "∞": "infinity", "→": "to",
    "⇒": "to", "²": "squared", "³": "cubed", "<": "less than", ">": "greater than", "^": "to the power of",
    "§": "section", "‰": "per thousand", "←": "from", "∑": "the sum of", "∆": "delta",
}  # fmt: skip

_PLAIN_TABLE = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'", "“": '"', "”": '"', "„": '"', "«": '"',
                              "»": '"', "⁄": "/", "‐": "-", "‑": "-", "[": " ", "]": " ", "{": " ", "}": " "})  # fmt: skip

_SPOKEN = re.compile(rf"{WORD}[.,?!;:]?(?: {WORD}[.,?!;:]?)*")
_PIECE = re.compile(rf"({WORD})|([.,?!;:])")
_GREEK = re.compile(r"GREEK (?:SMALL|CAPITAL) LETTER ([A-Z]+)")
_ESCAPED_BREAK = re.compile(r"(?<![:\w\\]\\)(?<!:)\\[nrt](?=$|[A-Z\s\\])")
_EMOTICON = re.compile(r"(?<!\S)(?<!\d )(?:[:;]['^-]?[()DPpOo/|\\]+|=[()D]+|<3+|</3|\^_*\^)(?!\w)")
_PLACE_CODE = re.compile(r"\b([A-Z][a-z]+, )([A-Z]{2})(?=[\s.,?!;:]|$)")
_NUMBER = r"\d[\d,]*(?:\.\d+)?"


class Unspeakable(ValueError):
    """A voice cannot read this text; `reason` is the code, the message one sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.reason, str(self))


class Normalizer:
    """Callable: written text in, one line of speakable text out. Applied to its own result it changes nothing."""

    def __init__(self, language: str = "en") -> None:
        if language != "en":
            raise ValueError(f"The normalizer reads English ('en') only, not '{language}'.")
        grammar, vocabulary = load_grammar(language)
        self._spans, self._states = SpanReader(grammar, vocabulary), vocabulary.states
        self._markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable(["code", "html_block"])

    def __call__(self, written: str) -> str:
        text = written
        for _ in range(_PASSES):
            spoken = self._read(text)
            if spoken == text:
                return spoken
            text = spoken
        raise Unspeakable("unstable_reading", f"Its reading does not settle: {_sample(spoken)}.")

    def _read(self, written: str) -> str:
        if self._is_spoken(written):
            return written
        _refuse_controls(written)
        if is_bad(written):
            raise Unspeakable("mojibake", f"It was decoded with the wrong character set: {_sample(written)}.")
        text, had_emoji = _without_emoji(written)
        lines = (self._read_line(line) for line in self._lines(text))
        spoken = _join_sentences([line for line in lines if line])
        if spoken:
            return spoken
        if had_emoji:
            raise Unspeakable("emoji_only", f"It has emoji and nothing to say: {_sample(written)}.")
        raise Unspeakable("empty", f"It has nothing to say: {_sample(written)}.")

    def _lines(self, text: str) -> Iterator[str]:
        text = _ESCAPED_BREAK.sub("\n", text)
        text = re.sub(r"(?<=\d)\*(?=\d)", " times ", text)  # 2*3*4 is no emphasis
        for block in _blocks(self._markdown.parse(text)):
            yield from block.split("\n")

    def _read_line(self, line: str) -> str:
        text = _compatible(line)
        _refuse_letters_and_symbols(text)
        for pattern, replacement in _READINGS:
            text = pattern.sub(replacement, text)
        text = " ".join(self._with_states(text).split())
        if text and not self._is_spoken(text):
            text = self._spans(text)
        return _tidy(text)

    def _with_states(self, text: str) -> str:
        return _PLACE_CODE.sub(lambda m: m[1] + self._states.get(m[2], m[2]), text)

    def _is_spoken(self, text: str) -> bool:
        """Words and sentence marks only, no abbreviation among them: the grammar would have nothing to do."""
        return (
            _SPOKEN.fullmatch(text) is not None
            and not any(map(is_abbreviation, text.split(" ")))
            and self._with_states(text) == text
        )


def _sample(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def _refuse_controls(text: str) -> None:
    if "\0" in text:
        raise Unspeakable("nul_byte", f"It has a NUL byte at character {text.index(chr(0)) + 1}.")
    for at, char in enumerate(text, 1):
        if unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n\r":
            raise Unspeakable(
                "control_characters", f"It has the control character U+{ord(char):04X} at character {at}."
            )


def _without_emoji(text: str) -> tuple[str, bool]:
    text = re.sub("([0-9#*])\ufe0f?\u20e3", r"\1 ", text)  # a keycap is the digit on it
    bare = _EMOTICON.sub(" ", emoji.replace_emoji(text, " "))
    return bare, bare != text


def _compatible(text: str) -> str:
    """NFKC (full width, ligatures, ½ as 1/2) but for powers; characters of no width go, dashes and quotes are plain."""
    text = re.sub("(?<=[0-9])(?=[¼-¾⅐-⅞])", " ", unicodedata.normalize("NFC", text)).translate(_PLAIN_TABLE)
    text = "".join(char if char in "²³" else unicodedata.normalize("NFKC", char) for char in text)
    text = "".join(char for char in text if unicodedata.category(char) != "Cf" and not "\ufe00" <= char <= "\ufe0f")
    return text.translate(_PLAIN_TABLE)


def _refuse_letters_and_symbols(text: str) -> None:
    for at, char in enumerate(text):
        kind, name = unicodedata.category(char), unicodedata.name(char, f"U+{ord(char):04X}")
        if char.isascii() or kind[0] in "PZ" or char in _SYMBOLS or re.match(LETTER, char):
            continue
        if kind[0] in "LN":
            neighbours = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
            if not _GREEK.fullmatch(name) or any("GREEK" in unicodedata.name(other, "") for other in neighbours):
                script = re.split(r"[ -]", name)[0].title().replace("Cjk", "Han")
                raise Unspeakable(
                    "unsupported_script", f"An English voice cannot read {script} script: '{char}' ({name.lower()})."
                )
        else:
            raise Unspeakable("unsupported_symbol", f"No reading is known for the character '{char}' ({name.lower()}).")


def _blocks(tokens: "list[Token]") -> Iterator[str]:
    """The text of each markdown block; an ordered item keeps its number, a table row is one block."""
    prefix = ""
    row: list[str] | None = None
    for token in tokens:
        if token.type == "list_item_open" and token.info:
            prefix = f"{token.info}, "  # an ordered item keeps its number
        elif token.type == "list_item_close" and prefix:
            yield prefix.replace(", ", ".")  # '5.' alone is a number, not a list
            prefix = ""
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row is not None:
            yield ", ".join(cell for cell in row if cell)
            row = None
        elif token.type == "fence":
            yield "Code omitted."
        elif token.type == "inline" and row is not None:
            row.append(_inline(token))
        elif token.type == "inline":
            yield prefix + _inline(token)
            prefix = ""


def _inline(token: "Token") -> str:
    parts = []
    for child in token.children or []:
        if child.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif child.type == "html_inline":
            parts.append("\n" if re.match(r"</?(?:br|p|div|li|tr|h\d)\b", child.content, re.IGNORECASE) else "")
        else:
            parts.append(child.content or ("image" if child.type == "image" else ""))
    return "".join(parts)


def _join_sentences(lines: list[str]) -> str:
    ended = [line if line[-1] in ".?!" else line.rstrip(",;:") + "." for line in lines[:-1]]
    return " ".join(ended + lines[-1:])


def _say_digits(text: str) -> str:
    return " ".join(_DIGITS[char] for char in text if char in _DIGITS)


def _url(match: re.Match[str]) -> str:
    """The host alone: nobody reads out a path, and the written text stays beside the spoken."""
    host = urlsplit(match[0] if "://" in match[0] else f"https://{match[0]}").hostname or ""
    return host.removeprefix("www.").replace(".", " dot ") + (match[0][-1] if match[0][-1] in ".,?!;:" else "")


def _street(match: re.Match[str]) -> str:
    ends = match[3] and re.match(r"\s*$|\s+[A-Z]", match.string[match.end() :])
    return f"{match[1]}{_STREETS[match[2]]}" + ("." if ends else "")


def _thousands(match: re.Match[str]) -> str:
    return f"{match[2]} thousand {_SYMBOLS[match[1]]}"


def _currency(match: re.Match[str]) -> str:
    return f"{match[2]} {_SYMBOLS[match[1]]}"


def _compile(
    *pairs: tuple[str, str | Callable[[re.Match[str]], str]],
) -> list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]:
    return [(re.compile(pattern), replacement) for pattern, replacement in pairs]


_READINGS = _compile(
    (r"(?i)\b(?:https?://|ftp://|www\.)[^\s<>\"]+", _url),
    (r'(?<![^\s(])"([^"]+)"(?!\w)', r"\1"),  # the quote behind "Chapter 1" is no inch
    (r"(?<=[a-z)])([.?!])(?=[A-Z])", r"\1 "),  # 'nice.It' is two sentences, not a host
    (r"(?<=[ap]m)\s?[-–]\s?(?=\d)", " to "),
    (r"\s*[—―]+\s*|\s+[-–]+\s+(?!\d)|(?<!-)--+(?!-)", ", "),
    (r"(?<=[^\W\d])–|–(?=[^\W\d])", ", "),
    (r"[–−]", "-"),
    (r"-+>|=+>", " to "),
    (r"\b((?:[A-Z]\.){2,})(?=\s+[a-z0-9]|[,;:])", lambda m: m[1].replace(".", "")),  # U.S. troops
    (r"\b((?:[A-Z]\.)+[A-Z])\.", lambda m: m[1].replace(".", "") + "."),
    (r"&", " and "),
    (r"=", " equals "),
    (r"(?<=\s)>(?=\s)|(?<=\d)>(?=\d)", " greater than "),
    (r"(?<=\s)<(?=\s)|<(?=\d)", " less than "),
    (r"(?<=\d)\s+\*\s+(?=\d)", " times "),
    (r"_{2,}", " blank "),
    (r"\b([CF])#", r"\1 sharp"),
    (r"\b[Nn]o\.\s?(?=\d)", "number "),
    (r"#(?=\s?\d)", " number "),
    (r"#(?=[^\W\d_])", " hashtag "),
    (r"(?<!\w)@(?=\w)", " at "),
    (r"~(?=\s*[$€£]?\d)", "about "),
    (r"\b24/7\b", "twenty four seven"),
    (r"\((\d{3})\)\s?(\d{3})-(\d{4})\b", r"\1-\2-\3"),
    (r"(?<![\d.,$/:-])\d{1,4}(?: \d{2,4}){2,}(?![.,/:-]?\d)", lambda m: ", ".join(map(_say_digits, m[0].split()))),
    (r"\b911\b", lambda m: _say_digits(m[0])),
    (r"(?<![\d.)-])(?<![\d)] )(\d{3})-(\d{4})(?![\d-])", lambda m: f"{_say_digits(m[1])}, {_say_digits(m[2])}"),
    (r"(?<![\d.])\d{1,2}(?:\.\d{1,2}){2,}(?!\.?\d)", lambda m: m[0].replace(".", " point ")),
    (r"\b(\d)'\s?(\d{1,2})(?:\"|'')?", r"\1 foot \2"),
    (r"\bUS\$", "$"),
    (rf"([$€£])\s*({_NUMBER})\s?[kK]\b", _thousands),
    (rf"([₹₩¢])\s*({_NUMBER})", _currency),
    (r"(?<=\d)\s?¢", " cents"),
    (r"(\d\.\d+)M\b", r"\1 million"),
    (r"([$€£])\s+(?=\d)", r"\1"),
    (rf"(?<![$€£\d.,])({_NUMBER})\s?([$€£])(?!\d)", r"\2\1"),
    (
        r"(?<![-\d./$])(?!\d{3}-\d{4}\b)([$€£]?\d{1,4}(?:\.\d+)?%?)\s?-\s?([$€£]?\d{1,4}(?:\.\d+)?%?)(?![-\d/]|\.\d)",
        r"\1 to \2",
    ),
    (rf"(\d\S*\s(?:[A-Z0-9]\w*\s){{1,3}})({'|'.join(_STREETS)})\b(\.?)", _street),
    (r"\bSt\.? (?=[A-Z])", "Saint "),
    (r"\bSt\.", "Street"),
    (r"\betc\.(?=\s+[a-z])", "et cetera"),
    (r"\s*\|\s*", ", "),
    (r"[\[\]{}<>*~©®™•]|\^(?!\w)", " "),  # marks of layout that nobody reads out
)
"""Where chat wants another reading than the grammar's own, in this order."""


def _tidy(text: str) -> str:
    """Every whitespace token a word, with at most one sentence mark after it: word timings are one per token."""
    text = re.sub(r"(?<=\w)\s+-\s+(?=\w)", ", ", text)
    text = re.sub(r"\.{2,}(?=\s+[a-z])", ",", text)
    text = "".join(_say_character(char) for char in text)
    words: list[str] = []
    marks = ""
    for word, mark in _PIECE.findall(text):
        if word:
            words, marks = [*_marked(words, marks), word], ""
        else:
            marks += mark
    return " ".join(_marked(words, marks))


def _marked(words: list[str], marks: str) -> list[str]:
    strongest = next((mark for mark in "?!.;:," if mark in marks), "")
    return [*words[:-1], words[-1] + strongest] if words else []


def _say_character(char: str) -> str:
    if word := _DIGITS.get(char) or _SYMBOLS.get(char):
        return f" {word} "
    if greek := _GREEK.fullmatch(unicodedata.name(char, "")):
        return f" {greek[1].lower().replace('lamda', 'lambda')} "
    return char
