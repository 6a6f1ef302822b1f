"""Written text in languages other than English → the words a voice reads.

Numbers, dates, times and money are read by NeMo's grammar of the language. The additional rules for English
(abbreviations, phone numbers, addresses) are not applied: a language's own abbreviations and symbols are data, in
`languages.yaml`, and a symbol without a reading rejects the dialogue."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from urllib.parse import urlsplit

from stages.text.grammar import words_beside_numbers
from stages.text.languages import languages
from stages.text.normalize import CODE, ESCAPED_BREAK, PLAIN_TABLE, Normalizer, Unspeakable, blocks_of, gathered

_LATIN = "A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ"
_MARKS = str.maketrans("।։؟،؛。？！、", "..?,;.?!,", "՛՜՞")
"""The sentence marks of other scripts; those inside Armenian words are removed."""
_ENDS = ".,?!;:"
_URL = re.compile(r"(?i)\b(?:https?://|www\.)[^\s<>\"]+")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_MINUS = re.compile(r"(?<!\S)[-–−](?=\d)")
_DASH = re.compile(r"\s+[-–—―]+\s+|[—―]+|\s*\.\.\.+(?=\s+[a-zß-ɏ])")
_RANGE = re.compile(r"(?<![\w.,/:-])(\d{1,4}(?:[.,]\d+)?)\s?[-–]\s?(\d{1,4}(?:[.,]\d+)?)(?![\w/:-])")
_DIALED = re.compile(
    r"(?<![\w.,/:-])(?:0\d{2,}|\+\d+)(?:[\s/-]\d+)*(?![\w.,:]\d)|(?<![\w.,/:-])\d{2,4}(?: \d{2,4}){2,}(?![\w.,:]\d)|\d{7,}"
)
_HAS_DIGIT = re.compile(r"\d").search
_ORDINAL = re.compile(r"\d{1,3}\.")
_AROUND = "\"'()[]¿¡«»" + _ENDS
_PRICE = re.compile(r"(?<=[$€£₹₩]) (?=\d)")
_CACHED = 100_000


class ForeignNormalizer(Normalizer):
    """Callable, like `Normalizer`: written text in, one line of speakable text out."""

    def __init__(self, language: str, grammar: Callable[[str], str]) -> None:
        self._own = own = languages()[language]
        self._grammar = lru_cache(_CACHED)(grammar)
        self._beside = words_beside_numbers(language)
        self._markdown = self._parser()
        letter = f"[{_LATIN}{own.letters}]"
        word = rf"{letter}+(?:['-]{letter}+)*"
        self._letter = re.compile(letter)
        self._spoken = re.compile(rf"{word}[.,?!;:]?(?: {word}[.,?!;:]?)*")
        self._piece = re.compile(rf"({word})|([.,?!;:])")
        self._plain = re.compile(rf"{word}[.,?!;:]?")
        written = sorted((key for key in own.words if key[0].isalpha() and key[-1] != "$"), key=len, reverse=True)
        self._short = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, written)) or '(?!)'})(?![\w-])(\s*$)?")
        self._symbols = sorted(own.words.keys() - {*written}, key=len, reverse=True)
        self._cased = {word.lower(): word for word in own.cased}
        self._before = [(re.compile(pattern), read) for pattern, read in own.before.items()]
        self._after = [(re.compile(pattern), read) for pattern, read in own.after.items()]

    def _is_spoken(self, text: str) -> bool:
        return self._spoken.fullmatch(text) is not None and self._short.search(text) is None

    def _lines(self, text: str) -> Iterator[str]:
        text = ESCAPED_BREAK.sub("\n", text)
        if times := self._own.words.get("×"):
            text = re.sub(r"(?<=\d)\*(?=\d)", f" {times} ", text)
        for block in blocks_of(self._markdown.parse(text)):
            if block == CODE:
                raise Unspeakable("has_code", "It contains code, which `speak` replaces with a phrase.")
            yield from block.split("\n")

    def _read_line(self, line: str) -> str:
        text = _compatible(line).translate(_MARKS)
        text = _MAIL.sub(lambda match: self._dotted(match[0]), _URL.sub(self._host, text))
        text = _DASH.sub(", ", self._numbers(self._short.sub(self._long, text)))
        text = " ".join(text.split())
        if text and not self._is_spoken(text):
            text = self._with_grammar(text)
        return gathered(self._piece, "".join(self._say(text)))

    def _host(self, match: re.Match[str]) -> str:
        """A path is not read aloud."""
        host = urlsplit(match[0] if "://" in match[0] else f"https://{match[0]}").hostname or ""
        return self._dotted(host.removeprefix("www.")) + (match[0][-1] if match[0][-1] in _ENDS else "")

    def _dotted(self, text: str) -> str:
        return text.replace(".", f" {self._own.dot} ")

    def _long(self, match: re.Match[str]) -> str:
        """An abbreviation, whose period may also end the line."""
        written = match[0].rstrip()
        return self._own.words[written] + ("." if match[1] is not None and written.endswith(".") else "")

    def _numbers(self, text: str) -> str:
        """Numbers in the form that the grammar accepts, and those read digit by digit."""
        for pattern, read in self._before:
            text = pattern.sub(read, text)
        text = _DIALED.sub(lambda match: " ".join(self._digits(match[0])) + " ", text)
        text = _PRICE.sub("", text)
        if self._own.thousands:
            group = re.escape(self._own.thousands)
            text = re.sub(
                rf"(?<![\d.,])\d{{1,3}}(?:{group}\d{{3}})+(?!{group}?\d)", lambda m: re.sub(group, "", m[0]), text
            )
        if self._own.to:
            text = _RANGE.sub(rf"\1 {self._own.to} \2", text)
        return _MINUS.sub(f"{self._own.minus} ", text)

    def _digits(self, text: str) -> Iterator[str]:
        for char in text:
            if char == "+":
                yield self._own.words.get("+", "")
            elif char.isdigit():
                yield self._own.digits[int(char)]

    def _with_grammar(self, line: str) -> str:
        tokens = line.split(" ")
        parts, at = [], 0
        while at < len(tokens):
            end = self._span_end(tokens, at)
            parts.append(
                self._given(tokens[at:end], tokens[:at], tokens[end:]) if _HAS_DIGIT(tokens[at]) else tokens[at]
            )
            at = end
        return " ".join(parts)

    def _span_end(self, tokens: list[str], at: int) -> int:
        """One past the last token that is read together with a number: "3. Mai 2024", "5 kg", "12 de mayo de 2024"."""
        end = at + 1
        if not _HAS_DIGIT(tokens[at]):
            return end
        while end < len(tokens) and (tokens[end - 1][-1] not in _ENDS or _ORDINAL.fullmatch(tokens[end - 1])):
            following = tokens[end : end + 2]
            if self._joins(following[0]) or (_HAS_DIGIT(following[0]) and not _HAS_DIGIT(tokens[end - 1])):
                end += 1
            elif following[0] == "de" and following[1:] and (self._joins(following[1]) or _HAS_DIGIT(following[1])):
                end += 2
            else:
                break
        return end

    def _joins(self, token: str) -> bool:
        return token.strip(_AROUND).lower() in self._beside

    def _given(self, span: list[str], before: list[str], after: list[str]) -> str:
        """The grammar's reading, without surrounding marks, which it would lose; an ordinal's period is not one of
        these."""
        text, words = " ".join(span), [word.lower() for word in before[-2:]]
        if _ORDINAL.fullmatch(text) and after and {*words[-1:]} & self._own.ordinal_after:
            return self._mended(self._grammar(text), words)
        bare = text.strip(_AROUND)
        start = text.index(bare)
        return text[:start] + self._mended(self._grammar(bare), words) + text[start + len(bare) :]

    def _mended(self, read: str, before: list[str]) -> str:
        """The grammar's reading, spelled as in the language, and in the case required by the words before."""
        words = [*before, *(self._cased.get(word, word) for word in read.split())]
        text = " ".join(words)
        for pattern, replacement in self._after:
            text = pattern.sub(replacement, text)
        return " ".join(text.split(" ")[len(before) :])

    def _say(self, text: str) -> Iterator[str]:
        """Its characters, with digits and symbols replaced by their readings, and without silent marks."""
        at = 0
        while at < len(text):
            char = text[at]
            symbol = next((key for key in self._symbols if text.startswith(key, at)), None)
            at += len(symbol or char)
            if symbol:
                yield f" {self._own.words[symbol]} "
            elif (digit := unicodedata.decimal(char, None)) is not None:
                yield f" {self._own.digits[digit]} "
            elif self._letter.match(char) or char.isspace() or char in ".,?!;:'-":
                yield char
            elif unicodedata.category(char)[0] == "P" or unicodedata.category(char) in ("So", "Sk") or char in "|~":
                yield " "
            else:
                raise self._unreadable(char)

    def _unreadable(self, char: str) -> Unspeakable:
        name = unicodedata.name(char, f"U+{ord(char):04X}")
        if unicodedata.category(char)[0] in "LM":
            script = re.split(r"[ -]", name)[0].title().replace("Cjk", "Han")
            message = f"No {self._own.name} voice can read {script} script: '{char}' ({name.lower()})."
            return Unspeakable("unsupported_script", message)
        message = f"The character '{char}' ({name.lower()}) has no known reading in {self._own.name}."
        return Unspeakable("unsupported_symbol", message)


def _compatible(text: str) -> str:
    """NFKC except for powers and the letters of ordinals; zero-width characters are removed; dashes and quotes are
    plain."""
    text = re.sub("(?<=[0-9])(?=[¼-¾⅐-⅞])", " ", unicodedata.normalize("NFC", text)).translate(PLAIN_TABLE)
    text = "".join(char if char in "²³ºª" else unicodedata.normalize("NFKC", char) for char in text)
    text = "".join(char for char in text if unicodedata.category(char) != "Cf" and not "\ufe00" <= char <= "\ufe0f")
    return text.translate(PLAIN_TABLE)
