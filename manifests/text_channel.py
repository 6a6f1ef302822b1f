"""The text channel of one speaker: one token per frame, from supervisions.

The rule is NeMo's (`nemo.collections.speechlm2.data.s2s_dataset.build_token_channel`, 3.0): PAD everywhere; BOS at the
frame nearest to a turn's start, then one token per frame; EOS at the frame nearest to its end. If a turn has more tokens
than frames, NeMo leaves the rest after EOS; here, the text is cut at EOS, and the cut tokens are counted.

For a turn that was cut off, the channel has the tokens of its whole text up to EOS: text runs ahead of speech, so a text
shortened to what was heard would end seconds before the user even starts, and reveal that the user will.

By words (`alignment="word"`, as in Moshi and F-Actor), a word's tokens start at the frame in which it is heard.

The channel of the *user's* words, for a model that transcribes while it listens, has its own rule: `user_text_channel`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import TYPE_CHECKING, Literal

import numpy as np

from manifests.errors import RequestError
from manifests.frames import SOURCE_FRAME, SOURCE_RATE, frame_at, frames_to_cover, to_samples
from manifests.records import Speaker
from manifests.words import words_of

if TYPE_CHECKING:
    from lhotse import SupervisionSegment
    from lhotse.supervision import AlignmentItem

Alignment = Literal["turn", "word"]


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """The tokenizer's ids of PAD, BOS and EOS."""

    pad: int
    bos: int
    eos: int


@dataclass(frozen=True, slots=True)
class TextChannel:
    """`tokens` is int64, shape (frames,); `cut_tokens` counts those that did not fit before their turn's EOS."""

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


def user_text_channel(
    supervisions: Iterable[SupervisionSegment],
    frames: int,
    encode: Callable[[str], Sequence[int]],
    special: SpecialTokens,
    delay: int = 0,
) -> TextChannel:
    """Lay out what the user says over `frames` frames, each word once it has been heard.

    PAD everywhere; BOS in the frame after the one in which a turn begins; a word's tokens, one per frame, after the
    frame in which the word ends; EOS after the frame in which the turn ends; everything `delay` frames later. Tokens
    whose frame is taken wait, in order. Tokens without a frame before the end of the dialogue are dropped and
    counted. Backchannels, false starts and side talk are laid out like turns; whether they need an answer is the
    agent's decision.

    The model reads this channel back, so it must not contain anything that has not been heard yet. A model that sees the
    future in training relies on it, but does not get it live. Hence:

    * Words come after their end. NeMo's `DuplexSTTModel` (3.0) lays out each word from its *start* (`word_align_position="left"`;
      with "right", up to its end) and delays the whole channel by `delay_source_text_by` frames: 0 by default, 15 in the
      released VoiceChat, according to its porters. Counted from a word's end, one or two frames are enough for words
      of any length. A turn's whole text from the turn's start, as in the agent's channel, would be a guess.
    * Words have no case and no punctuation. A period would reveal that the sentence, and often the turn, is over; a pause
      without one, that the user will continue.
    * At the start of a silence, nobody knows whether it is a pause or the end of the turn. So EOS is only a label: the model
      predicts it and reads PAD instead (`DuplexModel.embed`). Its input is then the same for a pause and for an end.

    Raises `RequestError` for a turn without word times.
    """
    placed: list[tuple[int, Sequence[int]]] = []
    for supervision in supervisions:
        if supervision.speaker != "user":
            continue
        words = [
            (" ".join(words_of(word.symbol)), word.end) for word in _timed_words(supervision, "model.user_text=false")
        ]
        words = [(text, end) for text, end in words if text]
        placed.append((to_samples(supervision.start, SOURCE_RATE) // SOURCE_FRAME + 1, [special.bos]))
        placed += zip(
            map(_frame_after, (end for _, end in words)), _in_turn([text for text, _ in words], encode), strict=True
        )
        placed.append((_frame_after(supervision.end), [special.eos]))
    tokens = np.full(frames, special.pad, dtype=np.int64)
    free = cut_tokens = 0
    for place, ids in sorted(placed, key=itemgetter(0)):
        free = max(free, place + delay)
        room = max(frames - free, 0)
        tokens[free : free + len(ids)] = ids[:room]
        cut_tokens += max(len(ids) - room, 0)
        free += len(ids)
    return TextChannel(tokens, cut_tokens)


def is_cut_off(supervision: SupervisionSegment) -> bool:
    return bool((supervision.custom or {}).get("cut_off"))


def whole_text(supervision: SupervisionSegment) -> str:
    """A turn's full text, including what a cut-off removed."""
    return str((supervision.custom or {}).get("text_full", supervision.text or ""))


def text_heard(supervision: SupervisionSegment) -> str:
    """The words of a turn that are heard completely."""
    return str((supervision.custom or {}).get("text_heard", supervision.text or ""))


def text_for_frames(text: str, least: int, most: int) -> str:
    """A text, or its first words: all of it if it fits into `most` frames at one token each, else enough for `least`
    frames.

    This counts the minimum number of tokens of any tokenizer: one per word, and one per mark after it. So a text that
    fits with any tokenizer stays complete, and no early word is missing. Most tokenizers need more tokens: a longer
    text is cut to fill the frames half-way from `least` to `most`."""
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
    """Tokens, each with its earliest frame."""
    if alignment == "turn":
        yield 0, encode(whole_text(supervision))
        return
    words = [(word.symbol, word.start) for word in _timed_words(supervision, "data.text=turn")]
    if under_way := (supervision.custom or {}).get("cut_word"):
        words.append((under_way[0], under_way[1]))
    yield from zip((frame_at(start) for _, start in words), _in_turn([word for word, _ in words], encode), strict=True)


def _timed_words(supervision: SupervisionSegment, mend: str) -> Sequence[AlignmentItem]:
    words: Sequence[AlignmentItem] = (supervision.alignment or {}).get("word", ())
    if not words and text_heard(supervision):
        raise RequestError(f"The turn {supervision.id} has no word times; train with {mend}.")
    return words


def _in_turn(words: Sequence[str], encode: Callable[[str], Sequence[int]]) -> Iterator[Sequence[int]]:
    """The tokens of each word of a turn."""
    before = len(encode("a"))
    for number, word in enumerate(words):
        # After another word: a tokenizer may encode a word differently at the start of a text.
        yield encode(f"a {word}")[before:] if number else encode(word)


def _frame_after(seconds: float) -> int:
    """The first frame that starts at or after a time."""
    return frames_to_cover(to_samples(seconds, SOURCE_RATE), SOURCE_FRAME)
