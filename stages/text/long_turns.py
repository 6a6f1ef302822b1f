"""An answer that is too long for one turn: its first sentences, or all of them in several parts.

Cuts fall at the ends of sentences. A sentence that is too long by itself is cut at the ends of its clauses; one without
any is rejected: nobody says half a clause.
"""

from collections.abc import Iterator, Sequence

from manifests.words import SENTENCE_END

CLAUSE_END = (",", ";", ":")


class Uncuttable(ValueError):
    """A sentence has too many words and no end of a clause to cut at."""


def shortened(spoken: str, most: int) -> str:
    """The first sentences of a speakable text, as many as fit into `most` words; if the first one does not fit, its
    first clauses. Raises `Uncuttable` if not even one clause fits."""
    pieces = list(_ended(spoken.split(), SENTENCE_END))
    if len(pieces[0]) > most:
        pieces = list(_ended(pieces[0], CLAUSE_END))
    _check(pieces[0], most)
    text = _text(next(_filled(pieces, most)))
    return text.rstrip("".join(CLAUSE_END)) + "." if text.endswith(CLAUSE_END) else text


def parts(spoken: str, most: int) -> list[str]:
    """All of a speakable text, in as few parts of at most `most` words as its sentences allow, of similar length; raises
    `Uncuttable`."""
    pieces: list[list[str]] = []
    for sentence in _ended(spoken.split(), SENTENCE_END):
        pieces += [sentence] if len(sentence) <= most else _ended(sentence, CLAUSE_END)
    for piece in pieces:
        _check(piece, most)
    return [_text(run) for run in _evenly(pieces, most)]


def _check(piece: list[str], most: int) -> None:
    if len(piece) > most:
        raise Uncuttable(f"the {len(piece)} words from '{' '.join(piece[:5])}' on have no end of a sentence or clause")


def _text(pieces: list[list[str]]) -> str:
    return " ".join(word for piece in pieces for word in piece)


def _ended(words: Sequence[str], marks: tuple[str, ...]) -> Iterator[list[str]]:
    """The words split after each one that ends with one of the marks."""
    piece: list[str] = []
    for word in words:
        piece.append(word)
        if word.endswith(marks):
            yield piece
            piece = []
    if piece:
        yield piece


def _evenly(pieces: list[list[str]], most: int) -> Iterator[list[list[str]]]:
    """The pieces in runs of at most `most` words each: as few runs as possible, and then the longest as short as
    possible."""
    number = len(list(_filled(pieces, most)))
    low, high = max(map(len, pieces)), most
    while low < high:
        middle = (low + high) // 2
        if len(list(_filled(pieces, middle))) > number:
            low = middle + 1
        else:
            high = middle
    yield from _filled(pieces, low)


def _filled(pieces: list[list[str]], most: int) -> Iterator[list[list[str]]]:
    """Runs of pieces, each as long as possible."""
    run: list[list[str]] = []
    words = 0
    for piece in pieces:
        if run and words + len(piece) > most:
            yield run
            run, words = [], 0
        run.append(piece)
        words += len(piece)
    yield run
