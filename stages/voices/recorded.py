"""Turns that carry a real recording pass through `synthesize` unsynthesized: read, resampled, trimmed, leveled, timed.

The words are those of the turn. Their times are the recording's own alignment where it has one for just these words, else an
aligner's where one is given, else estimated by the words' lengths.
"""

from collections.abc import Sequence

import numpy as np
import soxr

from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.pcm import to_int16
from manifests.recordings import read_recording
from manifests.records import BadDialogue, Recording, Speech, Turn, Word
from stages.ears.align import CtcAligner
from stages.render import gain_to
from stages.voices.word_times import words_from_starts

LEVEL_DBFS = -20
"""RMS of a recording's speech: about that of the embedded synthesizer, beside whose turns it may stand."""
QUIET_DB = 40
"""Below the loudest part of a recording by this much is no speech: trimmed at both ends."""
SHORTEST_S = 0.1
_BLOCK_S = 0.01


def recorded_speech(turn: Turn, recording: Recording, aligner: CtcAligner | None = None) -> Speech:
    """The speech of a turn, at the rate of its speaker's channel; raises `BadDialogue`."""
    samples, rate = read_recording(recording)
    wanted = SOURCE_RATE if turn.speaker == "user" else TARGET_RATE
    if rate != wanted:
        samples = soxr.resample(samples, rate, wanted, quality="HQ")
    first, last = _speech_span(samples, wanted)
    if last - first < SHORTEST_S * wanted:
        raise BadDialogue("recording_silent", f"The recording {recording.path} holds no speech.")
    speech = samples[first:last]
    leveled = to_int16(speech * gain_to(speech, LEVEL_DBFS))
    tokens = turn.spoken.split()
    if len(recording.words) == len(tokens):
        return Speech(leveled, wanted, _given(recording, tokens, first, len(leveled), wanted), "aligned")
    starts = aligner.starts(leveled, wanted, tokens) if aligner else {}
    words = words_from_starts(tokens, starts, leveled)
    return Speech(leveled, wanted, tuple(words), "aligned" if starts else "estimated")


def _speech_span(samples: np.ndarray, rate: int) -> tuple[int, int]:
    """From the first block that is loud beside the loudest to the last; (0, 0) where all is digital silence."""
    block = round(_BLOCK_S * rate)
    padded = np.pad(samples, (0, -len(samples) % block)).reshape(-1, block)
    power = np.mean(np.square(padded, dtype=np.float64), axis=1)
    if not power.max(initial=0):
        return 0, 0
    loud = np.flatnonzero(power > power.max() * 10 ** (-QUIET_DB / 10))
    return int(loud[0]) * block, min(int(loud[-1] + 1) * block, len(samples))


def _given(recording: Recording, tokens: Sequence[str], first: int, length: int, rate: int) -> tuple[Word, ...]:
    """The recording's own times, counted from where its speech begins, in order and within it."""
    words, free = [], 0
    for token, timed in zip(tokens, recording.words, strict=True):
        start = min(max(round(timed.start_s * rate) - first, free), length)
        free = min(max(round(timed.end_s * rate) - first, start), length)
        words.append(Word(token, start, free))
    return tuple(words)
