"""Written chat text → the words a voice reads.

The reading of numbers, dates, times, money, phones and units is NeMo's text-processing grammar (Zhang et al. 2021,
"NeMo Inverse Text Normalization", arXiv:2104.05055); markdown is parsed by markdown-it-py and emoji by `emoji`. This
module defines their order and the rejections: text that a voice cannot say is rejected with a reason, never repaired.
Readings in which English chat differs from the grammar, and forms unknown to the grammar, are in `english`."""

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

import emoji
from ftfy.badness import is_bad
from markdown_it import MarkdownIt

from stages.text.english.latex import read_latex
from stages.text.english.order import needs_reading, read_sentences
from stages.text.english.rewriting import DIGITS
from stages.text.english.symbols import SYMBOLS, is_ornament
from stages.text.grammar import is_abbreviation, load_english
from stages.text.spans import LETTER, WORD, SpanReader

if TYPE_CHECKING:
    from markdown_it.token import Token

CODE = "Code omitted."
"""Said instead of a block of code."""
_PASSES = 5
"""Maximum number of passes to reach a fixed point, so that normalizing twice changes nothing."""

PLAIN_TABLE = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "´": "'", "`": "'", "“": '"', "”": '"', "„": '"', "«": '"',
                              "»": '"', "⁄": "/", "′": "'", "″": '"', "‐": "-", "‑": "-", "[": " ", "]": " ", "{": " ", "}": " "})  # fmt: skip

_POWER = re.compile("(?<=[A-Za-z0-9₀-₉)])[⁰¹²³⁴-⁹⁺⁻ⁿⁱ]+")
_SPOKEN = re.compile(rf"{WORD}[.,?!;:]?(?: {WORD}[.,?!;:]?)*")
_PIECE = re.compile(rf"({WORD})|([.,?!;:])")
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_DINGBAT_DIGITS = {
    chr(code): f" {code - first + 1} "
    for first in (0x2776, 0x2780, 0x278A, 0x24F5)
    for code in range(first, first + 10)
}
"""❶, which NFKC leaves unchanged."""
_UNSAID = re.compile(r"[^A-Za-z\s.,?!;:'-]")
_GREEK = re.compile(r"GREEK (?:SMALL|CAPITAL) LETTER ([A-Z]+)")
ESCAPED_BREAK = re.compile(r"(?<![:\w\\]\\)(?<!:)\\[nrt](?=$|[A-Z\s\\])")
_EMOTICON = re.compile(r"(?<!\S)(?<!\d )(?:[:;]['^-]?[()DPpOo/|\\]+|=[()D]+|<3+|</3|\^_*\^)(?!\w)")
_PLACE_CODE = re.compile(r"\b([A-Z][a-z]+, )([A-Z]{2})(?=[\s.,?!;:]|$)")


class Unspeakable(ValueError):
    """A voice cannot read this text; `reason` is the code, the message is one sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.reason, str(self))


class Normalizer:
    """Callable: written text in, one line of speakable text out. Idempotent."""

    def __init__(self) -> None:
        grammar, vocabulary = load_english()
        self._spans, self._states = SpanReader(grammar, vocabulary), vocabulary.states
        self._markdown = self._parser()

    @staticmethod
    def _parser() -> MarkdownIt:
        return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable(["code", "html_block"])

    def __call__(self, written: str) -> str:
        text = written
        for _ in range(_PASSES):
            spoken = self._read(text)
            if spoken == text:
                return spoken
            text = spoken
        raise Unspeakable("unstable_reading", f"Its reading does not converge: {_sample(spoken)}.")

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
        text = ESCAPED_BREAK.sub("\n", text)
        text = re.sub(r"(?m)^([^*\n]*\w)\*\*(?=\w[^*\n]*$)", r"\1^", read_latex(text))  # 2**3 is a power
        text = re.sub(r"(?<=\d)\*(?=\d)", " times ", text)  # 2*3*4 is not emphasis
        for block in blocks_of(self._markdown.parse(text)):
            yield from block.split("\n")

    def _read_line(self, line: str) -> str:
        text = _compatible(line)
        if not text.isascii():
            text = "".join(" " if is_ornament(char) else char for char in text)
            _refuse_letters_and_symbols(text)
        text = " ".join(self._with_states(read_sentences(text, self._is_spoken)).split())
        if text and not self._is_spoken(text):
            text = self._spans(text)
        return _tidy(text)

    def _with_states(self, text: str) -> str:
        return _PLACE_CODE.sub(lambda m: m[1] + self._states.get(m[2], m[2]), text)

    def _is_spoken(self, text: str) -> bool:
        """Only words and sentence marks, no abbreviations: the grammar would have nothing to do."""
        return (
            _SPOKEN.fullmatch(text) is not None
            and not any(map(is_abbreviation, text.split(" ")))
            and not needs_reading(text)
            and self._with_states(text) == text
        )


def _sample(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def _refuse_controls(text: str) -> None:
    if "\0" in text:
        raise Unspeakable("nul_byte", f"It has a NUL byte at character {text.index(chr(0)) + 1}.")
    if found := _CONTROL.search(text):
        raise Unspeakable(
            "control_characters",
            f"It has the control character U+{ord(found[0]):04X} at character {found.start() + 1}.",
        )


def _without_emoji(text: str) -> tuple[str, bool]:
    text = re.sub("([0-9#*])\ufe0f?\u20e3", r"\1 ", text)  # a keycap is the digit on it
    bare = _EMOTICON.sub(" ", text if text.isascii() else emoji.replace_emoji(text, " "))
    return bare, bare != text


def _compatible(text: str) -> str:
    """NFKC (full width, ligatures, ½ as 1/2) except for powers; zero-width characters are removed; dashes and quotes
    are plain."""
    text = re.sub("(?<=[0-9])(?=[¼-¾⅐-⅞])", " ", unicodedata.normalize("NFC", text)).translate(PLAIN_TABLE)
    if text.isascii():
        return text
    text = _POWER.sub(lambda match: f"^({unicodedata.normalize('NFKC', match[0])})", text)
    text = unicodedata.normalize("NFKC", text.replace("№", "No."))
    text = "".join(_DINGBAT_DIGITS.get(char, char) for char in text)
    text = "".join(char for char in text if unicodedata.category(char) != "Cf" and not "\ufe00" <= char <= "\ufe0f")
    return text.translate(PLAIN_TABLE)


def _refuse_letters_and_symbols(text: str) -> None:
    for at, char in enumerate(text):
        kind, name = unicodedata.category(char), unicodedata.name(char, f"U+{ord(char):04X}")
        if char.isascii() or kind[0] in "PZ" or kind in ("Sm", "Sc") or char in SYMBOLS or re.match(LETTER, char):
            continue
        if kind[0] in "LN":
            neighbors = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
            if not _GREEK.fullmatch(name) or any("GREEK" in unicodedata.name(other, "") for other in neighbors):
                script = re.split(r"[ -]", name)[0].title().replace("Cjk", "Han")
                raise Unspeakable(
                    "unsupported_script", f"An English voice cannot read {script} script: '{char}' ({name.lower()})."
                )
        else:
            raise Unspeakable("unsupported_symbol", f"The character '{char}' ({name.lower()}) has no known reading.")


def blocks_of(tokens: "list[Token]") -> Iterator[str]:
    """The text of each markdown block; ordered items keep their numbers, and a table row is one block."""
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
            yield CODE
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


def _tidy(text: str) -> str:
    """Makes every whitespace token a word with at most one sentence mark after it, since word times are per token."""
    text = re.sub(r"(?<=\w)\s+-\s+(?=\w)", ", ", text)
    text = re.sub(r"\.{2,}(?=\s+[a-z])", ",", text)
    text = _UNSAID.sub(lambda match: _say_character(match[0]), text)
    return gathered(_PIECE, text)


def gathered(piece: re.Pattern[str], text: str) -> str:
    """The words of a text, each with at most one sentence mark after it; the two groups of `piece` are a word and a
    mark."""
    words: list[str] = []
    marks = ""
    for word, mark in piece.findall(text):
        if word:
            words, marks = [*_marked(words, marks), word], ""
        else:
            marks += mark
    return " ".join(_marked(words, marks))


def _marked(words: list[str], marks: str) -> list[str]:
    strongest = next((mark for mark in "?!.;:," if mark in marks), "")
    return [*words[:-1], words[-1] + strongest] if words else []


def _say_character(char: str) -> str:
    if word := DIGITS.get(char) or SYMBOLS.get(char):
        return f" {word} "
    name = unicodedata.name(char, "")
    if greek := _GREEK.fullmatch(name):
        return f" {greek[1].lower().replace('lamda', 'lambda')} "
    if unicodedata.category(char) in ("Sm", "Sc"):
        return f" {name.lower()} "
    return char
