"""Turns with a real recording are not synthesized, but read, resampled, trimmed, leveled and timed.

The words are those of the turn. Their times are from the recording's alignment if it has exactly these words, else
from an aligner if one is given, else estimated from the words' lengths."""

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
"""RMS of a recording's speech: similar to that of the embedded synthesizer, next to whose turns it may be."""
QUIET_DB = 40
"""Audio this far below the loudest part of a recording is not speech, and is trimmed at both ends."""
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
        raise BadDialogue("recording_silent", f"The recording {recording.path} contains no speech.")
    speech = samples[first:last]
    leveled = to_int16(speech * gain_to(speech, LEVEL_DBFS))
    tokens = turn.spoken.split()
    if len(recording.words) == len(tokens):
        return Speech(leveled, wanted, _given(recording, tokens, first, len(leveled), wanted), "aligned")
    starts = aligner.starts(leveled, wanted, tokens) if aligner else {}
    words = words_from_starts(tokens, starts, leveled)
    return Speech(leveled, wanted, tuple(words), "aligned" if starts else "estimated")


def _speech_span(samples: np.ndarray, rate: int) -> tuple[int, int]:
    """From the first to the last block that is loud relative to the loudest; (0, 0) for digital silence."""
    block = round(_BLOCK_S * rate)
    padded = np.pad(samples, (0, -len(samples) % block)).reshape(-1, block)
    power = np.mean(np.square(padded, dtype=np.float64), axis=1)
    if not power.max(initial=0):
        return 0, 0
    loud = np.flatnonzero(power > power.max() * 10 ** (-QUIET_DB / 10))
    return int(loud[0]) * block, min(int(loud[-1] + 1) * block, len(samples))


def _given(recording: Recording, tokens: Sequence[str], first: int, length: int, rate: int) -> tuple[Word, ...]:
    """The recording's own times, relative to the start of its speech, in order and within it."""
    words, free = [], 0
    for token, timed in zip(tokens, recording.words, strict=True):
        start = min(max(round(timed.start_s * rate) - first, free), length)
        free = min(max(round(timed.end_s * rate) - first, start), length)
        words.append(Word(token, start, free))
    return tuple(words)
