"""What a probe sees before an interruption, and before one that could have happened but did not.

The time of an interruption legitimately depends on what the agent says: nobody interrupts a turn that is about to
end, and no recipe cuts a turn in one of its pauses. So the second before an interruption is compared with the second
before a moment at which an uninterrupted turn could have been interrupted by the same rule. Nothing in the agent's
channel may distinguish the two.

Two readings of the text are probed: our trainer's, and NeMo's of the same shards, which lays out `text` unchanged.
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
    """How a corpus's users interrupt: the earliest time in a turn, and how long the agent speaks on. Seconds."""

    earliest_s: float
    cut_off_s: float
    """When the agent stops in the middle of a word."""
    finishes: float
    """The share of interruptions after which the agent finishes its word."""

    @classmethod
    def of(cls, turns: Sequence["AgentTurn"]) -> "Rule | None":
        """The rule as measured; None for a corpus without interruptions."""
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
    """An agent turn with nothing during it except, perhaps, an interruption: T frames; times in seconds.

    `seen` (T, F) is its channel. `words` are (start, end).
    """

    id: str
    script: str
    start_s: float
    end_s: float
    words: tuple[tuple[float, float], ...]
    onset_s: float | None
    """Where the user interrupts; None in a complete turn."""
    finishes_word: bool
    """For an interrupted turn: whether it ends at the end of a word."""
    seen: np.ndarray

    def window(self, moment: Moment, rule: Rule, seed: int) -> np.ndarray | None:
        """(SECOND, 1 + F): the frames before `moment`, the turn's age first; for a complete turn, before a possible one.

        None if there is no such moment, or less than a second before it.
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
        """An onset and a cut as `schedule` draws them: the cut falls inside a word other than the first and removes
        part of the turn, or falls right after that word."""
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
    """The agent's turns of a cut with loaded `target_codes`; `kinds` as from `token_kinds`."""
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
        if turn.id not in answered:  # the last turn of a dialogue is never interrupted
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
    """The script of a dialogue: its takes share their words, so they are not independent samples."""
    return _TAKE.sub("", id)


def token_kinds(tokenizer: TextTokenizer) -> np.ndarray:
    """(V,) kind of each token: 0 PAD, 1 piece of a word, 2 punctuation inside a sentence, 3 end of a sentence."""
    kinds = np.array([_kind(tokenizer.decode([token])) for token in range(tokenizer.size)])
    kinds[tokenizer.special.pad] = 0
    return kinds


def _kind(piece: str) -> int:
    mark = piece.strip()[-1:]
    return 3 if mark in (".", "!", "?") else 2 if mark in (",", ";", ":") else 1


def _as_nemo(turn: SupervisionSegment) -> SupervisionSegment:
    """Laid out from `text`, the only field NeMo reads."""
    return SupervisionSegment(turn.id, turn.recording_id, turn.start, turn.duration, speaker="agent", text=turn.text)


def _text_seen(kinds: np.ndarray) -> np.ndarray:
    """(T, 4): tokens so far, frames since the last one, its kind, and the kind of the current token."""
    frames = np.arange(len(kinds))
    last = np.maximum.accumulate(np.where(kinds > 0, frames, 0))
    return np.column_stack([np.cumsum(kinds > 0), frames - last, kinds[last], kinds])


def _codes_seen(codes: np.ndarray) -> np.ndarray:
    """(T, CODE_FRAMES × 4 codebooks × 4): the FSQ levels of the latest frames' codes; −1 before the turn's start."""
    digits, rest = [], codes.astype(np.int64)
    for level in FSQ_LEVELS:  # a code is a number in this mixed radix
        digits.append(rest % level)
        rest = rest // level
    levels = np.stack(digits, axis=-1).reshape(len(codes), CODEBOOKS * len(FSQ_LEVELS))
    shifted = [np.pad(levels, ((by, 0), (0, 0)), constant_values=-1)[: len(codes)] for by in range(CODE_FRAMES)]
    return np.concatenate(shifted, axis=1)
