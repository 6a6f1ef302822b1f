"""The text channel of one speaker: one token a frame, from supervisions.

The rule is NeMo's (`nemo.collections.speechlm2.data.s2s_dataset.build_token_channel`, 3.0): PAD everywhere; BOS at the
frame nearest to a turn's start, then one token a frame; EOS at the frame nearest to its end. Where a turn has more tokens
than frames, NeMo leaves the rest standing after EOS; here the text is cut at EOS, and the cut tokens are counted.

Of a turn that was cut off, the channel has the tokens of its whole text up to EOS: text runs ahead of speech, and a text
shortened to what was heard would end seconds before the user even starts, and so tell that the user will.

By words (`alignment="word"`, as Moshi and F-Actor lay it) a word's tokens stand from the frame in which it is heard on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

import numpy as np

from manifests.errors import RequestError
from manifests.frames import frame_at
from manifests.records import Speaker

if TYPE_CHECKING:
    from lhotse import SupervisionSegment

Alignment = Literal["turn", "word"]


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The tokenizer's ids of PAD, BOS and EOS."""

    pad: int
    bos: int
    eos: int


@dataclass(frozen=True, slots=True)
class TextChannel:
    """`tokens` is int64, shape (frames,); `cut_tokens` counts those that found no room before their turn's EOS."""

    tokens: np.ndarray
    cut_tokens: int


def text_channel(
    supervisions: Iterable[SupervisionSegment],
    frames: int,
    speaker: Speaker,
    encode: Callable[[str], Sequence[int]],
    special: SpecialTokens,
    alignment: Alignment = "turn",
) -> TextChannel:
    """Lay the turns of `speaker` out over `frames` frames; `encode` gives a text's token ids, without BOS and EOS.

    By words, raises `RequestError` for a turn without word times.
    """
    tokens = np.full(frames, special.pad, dtype=np.int64)
    cut_tokens = 0
    for supervision in supervisions:
        if supervision.speaker != speaker:
            continue
        first, eos = frame_at(supervision.start), frame_at(supervision.end)
        if first < frames:
            tokens[first] = special.bos
        free = first + 1
        left = 0
        for place, ids in _placed(supervision, encode, alignment):
            free = max(free, place)
            room = max(min(eos, frames) - free, 0)
            left += max(len(ids) - room, 0)
            tokens[free : free + min(len(ids), room)] = ids[:room]
            free += len(ids)
        cut_tokens += left
        if eos < frames:
            tokens[eos] = special.eos
    return TextChannel(tokens, cut_tokens)


def is_cut_off(supervision: SupervisionSegment) -> bool:
    return bool((supervision.custom or {}).get("cut_off"))


def whole_text(supervision: SupervisionSegment) -> str:
    """All of a turn's text, with what a cut-off took."""
    return str((supervision.custom or {}).get("text_full", supervision.text or ""))


def text_heard(supervision: SupervisionSegment) -> str:
    """The words of a turn that are heard whole."""
    return str((supervision.custom or {}).get("text_heard", supervision.text or ""))


def text_for_frames(text: str, least: int, most: int) -> str:
    """A text, or the first words of it: all where `most` frames hold it, one token each; else enough for `least` frames.

    Counted with the fewest tokens that any tokenizer makes: one of a word, one of a mark behind it. So a text that fits, by whatever
    tokenizer, is left whole, and no first word is missing. Most tokenizers make some more: of a longer text it is as much as would
    fill the frames half-way from `least` to `most`.
    """
    words = text.split()
    reached = list(accumulate(1 + bool(_MARK.search(word)) for word in words))
    if not words or reached[-1] <= most:
        return text
    number = max(
        sum(tokens <= (least + most) // 2 for tokens in reached), 1 + sum(tokens < least for tokens in reached)
    )
    return " ".join(words[:number])


_MARK = re.compile(r"\w[.,?!;:]$")


def _placed(
    supervision: SupervisionSegment, encode: Callable[[str], Sequence[int]], alignment: Alignment
) -> Iterator[tuple[int, Sequence[int]]]:
    """Tokens, with the first frame in which they may stand."""
    if alignment == "turn":
        yield 0, encode(whole_text(supervision))
        return
    words = [(word.symbol, word.start) for word in (supervision.alignment or {}).get("word", ())]
    if not words and text_heard(supervision):
        raise RequestError(f"The turn {supervision.id} has no word times; train with data.text=turn.")
    if under_way := (supervision.custom or {}).get("cut_word"):
        words.append((under_way[0], under_way[1]))
    before = len(encode("a"))
    for number, (word, start) in enumerate(words):
        # Behind another word: a tokenizer may write a word otherwise at a text's start.
        yield frame_at(start), encode(f"a {word}")[before:] if number else encode(word)
