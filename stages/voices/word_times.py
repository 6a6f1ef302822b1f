"""Word times: from the times given by an engine, or estimated."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from manifests.records import Word

_QUIET = 10 ** (-50 / 20) * 32768
"""Samples below −50 dBFS are silence, which is trimmed at both ends and not part of a word."""


def sound_span(samples: np.ndarray) -> tuple[int, int]:
    """The start and end of sound in int16 `samples`; (0, 0) if they are silent."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _QUIET)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, 0)


def words_from_starts(tokens: Sequence[str], starts: Mapping[int, int], samples: np.ndarray) -> list[Word]:
    """A `Word` per token, from the known start samples: {token index: sample}.

    Tokens without a start share the time up to the next known one in proportion to their characters; without any
    known start, the times are an estimate. `samples` are trimmed: the first token starts at 0."""
    known = {token: min(max(start, 0), len(samples)) for token, start in starts.items()}
    edges = list(_filled(known, [len(token) for token in tokens], len(samples)))
    return [
        Word(token, start, _end_of_sound(samples, start, end))
        for token, start, end in zip(tokens, edges, [*edges[1:], len(samples)], strict=True)
    ]


def onset_near(samples: np.ndarray, rate: int, start: int, reach_s: float = 0.08) -> int:
    """The onset after a silence of at least 30 ms that is nearest to `start`; `start` itself if none is in reach.

    A recognizer's frames are coarse: with a slightly late start, the previous word would include the pause.
    """
    block = rate // 100
    blocks = np.abs(samples[: len(samples) // block * block].astype(np.int32)).reshape(-1, block).max(axis=1) > _QUIET
    onsets = [n * block for n in range(3, len(blocks)) if blocks[n] and not blocks[n - 3 : n].any()]
    nearest = min(onsets, key=lambda onset: abs(onset - start), default=start)
    return nearest if abs(nearest - start) <= reach_s * rate else start


def _filled(known: dict[int, int], lengths: list[int], total: int) -> Iterator[int]:
    """A start for every token: known ones are made monotonic, and others are interpolated by characters."""
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
    """The end of a word's sound: a pause before the next word is not part of it."""
    _, last = sound_span(samples[start:end])
    return start + last if last else end
