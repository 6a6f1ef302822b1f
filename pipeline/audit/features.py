"""What a probe sees before an interruption, and before one that never came.

When a user interrupts depends, by rights, on what the agent says: nobody interrupts a turn that is about to end, nor does a recipe cut a
turn in one of its pauses. So the second before an interruption is held against the second before a moment at which a turn that was left
whole could have been interrupted just as well, by the same rule. Nothing in the agent's channel may tell the two apart.

Two readings of the text are probed: our trainer's, and NeMo's of the same shards, which lays out `text` as it is.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

import numpy as np
from lhotse import MonoCut, SupervisionSegment

from manifests.frames import CODEBOOKS, FRAMES_PER_SECOND, FSQ_LEVELS, frame_at
from manifests.records import ASIDES
from manifests.text_channel import is_cut_off, text_channel
from salm_duplex_model.tokenizer import TextTokenizer
from stages.base import draw
from stages.timing.barge_ins import MIN_LOST_S, UNDER_WAY_S

SECOND = int(FRAMES_PER_SECOND)
"""In whole frames."""
CODE_FRAMES = 3
Reading = Literal["ours", "nemo"]
Moment = Literal["onset", "cut"]
"""The user's start, or the agent's end."""


_TAKE = re.compile(r"-take\d+$")


@dataclass(frozen=True, slots=True)
class Rule:
    """How a corpus's users interrupt: when at the earliest, and how long after that the agent is silent. Seconds."""

    earliest_s: float
    cut_off_s: float
    """Where the agent falls silent in the midst of a word."""
    finishes: float
    """The share of interruptions at which it finishes its word."""

    @classmethod
    def of(cls, turns: Sequence["AgentTurn"]) -> "Rule | None":
        """As measured; None in a corpus without interruptions."""
        onsets = [(turn, turn.onset_s) for turn in turns if turn.onset_s is not None]
        if not onsets:
            return None
        at_once = [turn.end_s - onset for turn, onset in onsets if not turn.finishes_word]
        return cls(
            min(onset - turn.start_s for turn, onset in onsets),
            median(at_once) if at_once else min(turn.end_s - onset for turn, onset in onsets),
            1 - len(at_once) / len(onsets),
        )


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """A turn of the agent that nothing but an interruption falls into: T frames, and times in seconds.

    `seen` (T, F) is its channel. `words` are (start, end).
    """

    id: str
    script: str
    start_s: float
    end_s: float
    words: tuple[tuple[float, float], ...]
    onset_s: float | None
    """Where the user interrupts; None in a turn that is whole."""
    finishes_word: bool
    """Of one that is interrupted: whether it ends with its word."""
    seen: np.ndarray

    def window(self, moment: Moment, rule: Rule, seed: int) -> np.ndarray | None:
        """(SECOND, 1 + F): the frames before that moment, the turn's age first; of a whole turn, before one that could have been.

        None where there is none, or less than a second before it.
        """
        moments = (self.onset_s, self.end_s) if self.onset_s is not None else self._possible(rule, seed)
        if moments is None:
            return None
        onset, cut = moments
        end = min(frame_at(onset if moment == "onset" else cut) - frame_at(self.start_s), len(self.seen))
        if end < SECOND:
            return None
        age = np.arange(end - SECOND, end)[:, None]
        return np.hstack([age, self.seen[end - SECOND : end]])

    def _possible(self, rule: Rule, seed: int) -> tuple[float, float] | None:
        """An onset and a cut as `schedule` draws them: the cut falls into a word that is under way, but the first, and takes something of the
        turn; or behind that word."""
        low, high = self.start_s + rule.earliest_s + rule.cut_off_s, self.end_s - MIN_LOST_S
        spans = [(max(low, start + UNDER_WAY_S), min(high, end), end) for start, end in self.words[1:]]
        spans = [span for span in spans if span[1] > span[0]]
        chance = draw(seed, self.id, "audit")
        place = chance.random() * sum(end - start for start, end, _ in spans)
        for start, end, word_end in spans:
            if place < end - start:
                cut = start + place
                finishes = word_end <= high and chance.random() < rule.finishes
                return cut - rule.cut_off_s, word_end if finishes else cut
            place -= end - start
        return None


def agent_turns(cut: MonoCut, tokenizer: TextTokenizer, kinds: np.ndarray, reading: Reading) -> Iterator[AgentTurn]:
    """Those of a cut whose `target_codes` can be read; `kinds` as `token_kinds` gives them."""
    codes = cut.load_custom("target_codes")
    agent = [s for s in cut.supervisions if s.speaker == "agent"]
    laid_out = [_as_nemo(s) for s in agent] if reading == "nemo" else agent
    tokens = text_channel(laid_out, len(codes), "agent", tokenizer.encode, tokenizer.special).tokens
    answered = {
        before.id
        for before, after in pairwise(cut.supervisions)
        if after.speaker == "user" and after.custom["event"] not in ASIDES
    }
    for turn in agent:
        if turn.id not in answered:  # who has the last word can't be interrupted
            continue
        inside = [s for s in cut.supervisions if s.speaker == "user" and s.start < turn.end and s.end > turn.start]
        interrupted = is_cut_off(turn) and len(inside) == 1
        if inside and not interrupted:
            continue
        first, end = frame_at(turn.start), min(frame_at(turn.end), len(codes))
        yield AgentTurn(
            turn.id,
            script_of(cut.id),
            turn.start,
            turn.end,
            tuple((word.start, word.end) for word in (turn.alignment or {}).get("word", ())),
            inside[0].start if interrupted else None,
            turn.custom.get("yields") == "after_word",
            np.hstack([_text_seen(kinds[tokens[first:end]]), _codes_seen(codes[first:end])]),
        )


def script_of(id: str) -> str:
    """What a dialogue performs: its takes have their words in common, and so are no independent witnesses."""
    return _TAKE.sub("", id)


def token_kinds(tokenizer: TextTokenizer) -> np.ndarray:
    """(V,) of each token: 0 PAD, 1 a word's piece, 2 a mark inside a sentence, 3 a sentence's end."""
    kinds = np.array([_kind(tokenizer.decode([token])) for token in range(tokenizer.size)])
    kinds[tokenizer.special.pad] = 0
    return kinds


def _kind(piece: str) -> int:
    mark = piece.strip()[-1:]
    return 3 if mark in (".", "!", "?") else 2 if mark in (",", ";", ":") else 1


def _as_nemo(turn: SupervisionSegment) -> SupervisionSegment:
    """Laid out by its `text`, which is all that NeMo knows of."""
    return SupervisionSegment(turn.id, turn.recording_id, turn.start, turn.duration, speaker="agent", text=turn.text)


def _text_seen(kinds: np.ndarray) -> np.ndarray:
    """(T, 4): tokens so far, frames since the last, what kind that was, what kind stands here."""
    frames = np.arange(len(kinds))
    last = np.maximum.accumulate(np.where(kinds > 0, frames, 0))
    return np.column_stack([np.cumsum(kinds > 0), frames - last, kinds[last], kinds])


def _codes_seen(codes: np.ndarray) -> np.ndarray:
    """(T, CODE_FRAMES × 4 codebooks × 4): the levels of the last frames' codes; before the turn's start, −1."""
    digits, rest = [], codes.astype(np.int64)
    for level in FSQ_LEVELS:  # a code is a number of this mixed radix
        digits.append(rest % level)
        rest = rest // level
    levels = np.stack(digits, axis=-1).reshape(len(codes), CODEBOOKS * len(FSQ_LEVELS))
    shifted = [np.pad(levels, ((by, 0), (0, 0)), constant_values=-1)[: len(codes)] for by in range(CODE_FRAMES)]
    return np.concatenate(shifted, axis=1)
