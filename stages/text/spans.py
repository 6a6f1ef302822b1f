"""The parts of a line that the grammar reads. Everything else is plain words and stays unchanged.

The grammar takes 0.2 ms per character, even for plain words, and a line of an assistant's answer has a number or two
per hundred characters. So it gets only those, with the words that are read together with them ("March 14th", "5 kg"),
and each of them once: numbers, dates and prices recur in a corpus."""

import re
from collections.abc import Callable, Iterator, Set
from functools import lru_cache
from itertools import groupby

from stages.text.grammar import Vocabulary, is_abbreviation

LETTER = "[A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ]"
WORD = rf"{LETTER}+(?:['-]{LETTER}+)*"
_PLAIN = re.compile(rf"""["'(]*({WORD})["')]*[.,?!;:]?["')]*""")
_ENDED_WORD = re.compile(r"[\w'-]+[.?!]")
_CACHED = 100_000
"""Cached spans: about 20 MB."""
_STREET_WORDS = 5
"""Maximum words in a street name: an address's number is read differently from a quantity."""


class SpanReader:
    """Callable: a line of words, numbers and marks in, the same with its spans read by `grammar` out."""

    def __init__(self, grammar: Callable[[str], str], vocabulary: Vocabulary) -> None:
        self._grammar = lru_cache(_CACHED)(grammar)
        self._vocabulary = vocabulary

    def __call__(self, line: str) -> str:
        tokens = line.split(" ")
        chosen = self._chosen(tokens)
        parts = []
        for needed, group in groupby(range(len(tokens)), key=chosen.__contains__):
            part = " ".join(tokens[at] for at in group)
            parts.append(self._read(part) if needed else part)
        ends = line[-1] if line[-1] in ".?!" else ""
        return " ".join(parts) + ends

    def _read(self, span: str) -> str:
        """The grammar drops the mark after some words ("1428 Elm Street."), and, correctly, an abbreviation's period."""
        last = span.rsplit(" ", 1)[-1]
        ends = last[-1] if _ENDED_WORD.fullmatch(last) and not is_abbreviation(last) else ""
        return self._grammar(span) + ends

    def _chosen(self, tokens: list[str]) -> Set[int]:
        chosen: set[int] = set()
        for at, token in enumerate(tokens):
            if not _is_plain(token):
                chosen.add(at)
                chosen.update(self._words_after(tokens, at))
                if at and self._is_month(tokens[at - 1]):
                    chosen.add(at - 1)
        return chosen

    def _words_after(self, tokens: list[str], at: int) -> Iterator[int]:
        for following in range(at + 1, len(tokens)):
            joins = _bare(tokens[following]) in self._vocabulary.after or self._is_month(tokens[following])
            if not joins or tokens[following - 1][-1] in ".,?!;:":
                break
            yield following
        for following in range(at + 1, min(at + 1 + _STREET_WORDS, len(tokens))):
            if not tokens[following][0].isupper():
                break
            if _bare(tokens[following]) in self._vocabulary.streets:
                yield from range(at + 1, following + 1)
                break

    def _is_month(self, token: str) -> bool:
        return token[0].isupper() and _bare(token) in self._vocabulary.months


def _is_plain(token: str) -> bool:
    plain = _PLAIN.fullmatch(token)
    return plain is not None and not is_abbreviation(token.strip("\"'()"))


def _bare(token: str) -> str:
    return token.strip("\"'().,?!;:").lower()
