"""When each word of a text is heard: from the times that an engine gives, or, with none at all, estimated."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from manifests.records import Word

_QUIET = 10 ** (-50 / 20) * 32768
"""Samples below −50 dBFS are silence: trimmed at both ends, and not part of a word."""


def sound_span(samples: np.ndarray) -> tuple[int, int]:
    """Where int16 `samples` begin and cease to be heard; (0, 0) where they are silence all along."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _QUIET)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, 0)


def words_from_starts(tokens: Sequence[str], starts: Mapping[int, int], samples: np.ndarray) -> list[Word]:
    """A `Word` per token, from the sample at which each is known to start: {token index: sample}.

    Tokens without a start share the time up to the next known one by their characters; so with no start known at all the
    times are an estimate. `samples` are trimmed: the first token starts at 0.
    """
    known = {token: min(max(start, 0), len(samples)) for token, start in starts.items()}
    edges = list(_filled(known, [len(token) for token in tokens], len(samples)))
    return [
        Word(token, start, _end_of_sound(samples, start, end))
        for token, start, end in zip(tokens, edges, [*edges[1:], len(samples)], strict=True)
    ]


def onset_near(samples: np.ndarray, rate: int, start: int, reach_s: float = 0.08) -> int:
    """Where sound begins after a silence of 30 ms or more, nearest to `start`; `start` itself with none in reach.

    A recognizer's frames are coarse: a start that is a little late would give the word before it the pause as well.
    """
    block = rate // 100
    blocks = np.abs(samples[: len(samples) // block * block].astype(np.int32)).reshape(-1, block).max(axis=1) > _QUIET
    onsets = [n * block for n in range(3, len(blocks)) if blocks[n] and not blocks[n - 3 : n].any()]
    nearest = min(onsets, key=lambda onset: abs(onset - start), default=start)
    return nearest if abs(nearest - start) <= reach_s * rate else start


def _filled(known: dict[int, int], lengths: list[int], total: int) -> Iterator[int]:
    """A start for every token: the known ones made monotone, the others shared out by their characters."""
    known = {0: 0} | known
    anchors = sorted(known)
    ceiling = total
    monotone: dict[int, int] = {}
    for anchor in reversed(anchors):
        ceiling = monotone[anchor] = min(known[anchor], ceiling)
    for anchor, following in zip(anchors, [*anchors[1:], len(lengths)], strict=True):
        start, end = monotone[anchor], monotone.get(following, total)
        characters = sum(lengths[anchor:following])
        before = 0
        for token in range(anchor, following):
            yield start + (end - start) * before // characters
            before += lengths[token]


def _end_of_sound(samples: np.ndarray, start: int, end: int) -> int:
    """Where a word's sound ends: a pause after it, before the next word, is not part of it."""
    _, last = sound_span(samples[start:end])
    return start + last if last else end
