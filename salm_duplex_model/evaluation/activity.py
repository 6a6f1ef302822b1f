"""When an agent speaks: on its audio, by a voice activity detector, and on its text channel, by BOS and EOS.

The detector is based on energy: a 13 ms window above −45 dBFS is sound. Measured on 60 test dialogues (126 agent
turns) rendered with eSpeak NG, and on the same dialogues through the codec, against the labels: all turns found,
nothing else found, every start exact and every end within 14 ms, in both. On 84 other turns, −40 and −50 dBFS did
equally well; at −35, some weak starts were late. `silero-vad` 6.2 also found all turns, but put their ends late by 60
ms (without its padding) to 100 ms (with its defaults), so that 25 to 76 % of them were within a frame, and took 200
times as long. An agent's channel is synthetic and contains only speech; on a user's channel, this detector would not
work. It can't distinguish speech from a model's buzzing: a listener hears both, so neither is silence.

There is also silence between the sentences of one turn: up to 0.44 s in those 84 turns. Gaps shorter than `HOLD_S`
are joined, so that they do not count as falling silent, and sounds shorter than `BLIP_S` are ignored."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from manifests.frames import FRAME_SECONDS, TARGET_FRAME, TARGET_RATE
from manifests.text_channel import SpecialTokens
from salm_duplex_model.evaluation.timeline import Interval, Spoken

WINDOW = TARGET_FRAME // 6
"""Samples per window: a sixth of a frame, 13.3 ms."""
THRESHOLD_DBFS = -45.0
HOLD_S = 0.5
BLIP_S = 0.1
DESCRIPTION = f"energy above {THRESHOLD_DBFS:g} dBFS in windows of {1000 * WINDOW / TARGET_RATE:.1f} ms"


def speech(audio: np.ndarray) -> list[Interval]:
    """The agent's turns in its audio: float (samples,) in [-1, 1] at 22 050 Hz."""
    windows = len(audio) // WINDOW
    power = np.square(audio[: windows * WINDOW], dtype=np.float64).reshape(windows, WINDOW).mean(axis=1)
    sounds = power > 10 ** (THRESHOLD_DBFS / 10)
    edges = np.diff(sounds.astype(np.int8), prepend=0, append=0)
    seconds = WINDOW / TARGET_RATE
    starts, ends = np.flatnonzero(edges == 1) * seconds, np.flatnonzero(edges == -1) * seconds
    return joined([Interval(float(start), float(end)) for start, end in zip(starts, ends, strict=True)])


def joined(sounds: Sequence[Interval], hold_s: float = HOLD_S, blip_s: float = BLIP_S) -> list[Interval]:
    """Join intervals closer together than `hold_s`, then drop those shorter than `blip_s`."""
    turns: list[Interval] = []
    for sound in sounds:
        if turns and sound.start - turns[-1].end < hold_s:
            turns[-1] = Interval(turns[-1].start, sound.end)
        else:
            turns.append(sound)
    return [turn for turn in turns if turn.length >= blip_s]


def text_turns(tokens: np.ndarray, special: SpecialTokens, decode: Callable[[Sequence[int]], str]) -> list[Spoken]:
    """The agent's turns on its text channel, int (frames,): from a BOS to the next EOS, or BOS, or the channel's end."""
    marks = np.flatnonzero((tokens == special.bos) | (tokens == special.eos))
    turns = []
    for begin, end in itertools.pairwise([*marks, len(tokens)]):
        if tokens[begin] == special.bos:
            text = decode([int(token) for token in tokens[begin:end]])
            turns.append(Spoken(float(begin) * FRAME_SECONDS, float(end) * FRAME_SECONDS, text.strip()))
    return turns


def user_turns(tokens: np.ndarray, special: SpecialTokens, decode: Callable[[Sequence[int]], str]) -> list[Spoken]:
    """The user's turns on a model's channel of the user's text, int (frames,): the words between one mark and the
    next, from the first word on. A wrong EOS, at a pause, splits a turn and loses no words."""
    marks = np.flatnonzero((tokens == special.bos) | (tokens == special.eos))
    turns = []
    for begin, end in itertools.pairwise([0, *marks, len(tokens)]):
        words = begin + np.flatnonzero(~np.isin(tokens[begin:end], (special.pad, special.bos, special.eos)))
        if len(words):
            text = decode(tokens[words].tolist()).strip()
            turns.append(Spoken(float(words[0]) * FRAME_SECONDS, float(end) * FRAME_SECONDS, text))
    return turns
