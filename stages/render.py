"""render: timeline → two channels of int16 samples, the user's at 16 kHz and the agent's at 22.05 kHz.

Outside its segments, and in their pauses, a channel has exact zeros, unless the recipe adds sound. Each
stretch of speech is faded in and out over a few milliseconds, so that neither edges nor cut-offs click.

Effects on the user's channel (rooms, noise, lines) are in `stages/sound/`; the agent's channel has none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import soxr
from pydantic import Field, model_validator

from manifests.frames import SOURCE_FRAME, SOURCE_RATE, TARGET_FRAME, TARGET_RATE, to_samples
from manifests.pcm import to_float, to_int16
from manifests.records import BadDialogue, DuplexDialogue, Rejected, Segment, Speaker, Speech, Timeline
from manifests.sound import Sound
from stages.base import Stage, draw, reject
from stages.sound.levels import PEAK
from stages.sound.path import SoundSettings, check_sound, heard_by_agent, sound_made_by

EDGE_FADE_S = 0.003
CUT_FADE_S = 0.02
RUN_ON_S = 1.0
"""How much of a cut-off agent turn is kept beyond the cut: a codec's encoder looks ahead, and must not see the cut."""


class RenderSettings(SoundSettings):
    agent_level_dbfs: float = Field(default=-21.5, ge=-60, le=-6, description="RMS level of the agent's speech")
    user_level_dbfs_low: float = Field(default=-32, ge=-60, le=-6, description="RMS level of the quietest user")
    user_level_dbfs_high: float = Field(default=-20, ge=-60, le=-6, description="RMS level of the loudest user")
    side_talk_db: float = Field(default=-6, ge=-30, le=0, description="level of side talk, relative to that")

    @model_validator(mode="after")
    def _in_order(self) -> "RenderSettings":
        if self.user_level_dbfs_low > self.user_level_dbfs_high:
            raise ValueError("'user_level_dbfs_low' must not be above 'user_level_dbfs_high'")
        return self


class Render(Stage[Timeline, DuplexDialogue, RenderSettings]):
    """Render each timeline, with one level per speaker and dialogue."""

    @classmethod
    def check(cls, settings: RenderSettings) -> None:
        check_sound(settings)

    def made_by(self) -> dict[str, str]:
        return sound_made_by(self.settings)

    def process(self, records: Sequence[Timeline]) -> list[DuplexDialogue | Rejected]:
        return [self._render(timeline) for timeline in records]

    def _render(self, timeline: Timeline) -> DuplexDialogue | Rejected:
        settings = self.settings
        level = draw(self.seed, timeline.spoken.dialogue.id, "level")
        user_dbfs = level.uniform(settings.user_level_dbfs_low, settings.user_level_dbfs_high)
        user = render_channel(timeline, "user", SOURCE_RATE, SOURCE_FRAME, user_dbfs, settings.side_talk_db)
        agent = render_channel(timeline, "agent", TARGET_RATE, TARGET_FRAME, settings.agent_level_dbfs)
        chance = partial(draw, self.seed, timeline.spoken.dialogue.id)
        try:
            heard, noise, sound = heard_by_agent(
                user.samples, user.spoken, user.level_dbfs, agent.samples, settings, chance
            )
        except BadDialogue as error:
            return reject(timeline.spoken.dialogue, "render", error)
        voice = timeline.spoken.reference
        reference = None if voice is None else _at_level(voice, settings.agent_level_dbfs)
        dry = None if sound == Sound() else user.samples
        return DuplexDialogue(
            timeline, heard, agent.samples, uncut=agent.uncut, reference=reference, noise=noise, sound=sound, dry=dry
        )


@dataclass(frozen=True, slots=True)
class Channel:
    """One speaker's channel, int16; which of its samples are speech; the speech of each cut-off segment, uncut; its
    RMS level."""

    samples: np.ndarray
    spoken: np.ndarray
    uncut: tuple[np.ndarray, ...]
    level_dbfs: float


def render_channel(
    timeline: Timeline, speaker: Speaker, rate: int, frame: int, level_dbfs: float, side_talk_db: float = 0
) -> Channel:
    """One speaker's channel, shape (frames × `frame`,), at `rate`; speech at a level, or as near as its peak allows,
    and side talk that much softer."""
    own = [segment for segment in timeline.segments if segment.speaker == speaker]
    voiced = [_resample(timeline.spoken.speech[segment.turn], rate) for segment in own]
    together = np.concatenate(voiced)
    gain, reached_dbfs = gain_and_level(together, level_dbfs)
    channel = np.zeros(timeline.frames * frame, dtype=np.int16)
    spoken = np.zeros(len(channel), dtype=bool)
    aside = float(10 ** (side_talk_db / 20))
    uncut = []
    for segment, samples in zip(own, voiced, strict=True):
        if segment.cut_off:
            # The samples after a pause are delayed by it.
            more = samples[: segment.length - _paused(segment) + to_samples(RUN_ON_S, rate)] * gain
            uncut.append(to_int16(_parted(more, segment, rate)))
        level = gain * (aside if segment.event == "side_talk" else 1.0)
        heard = _fit(samples, segment.length - _paused(segment)) * level
        channel[segment.start : segment.end] = to_int16(_parted(heard, segment, rate))
        spoken[segment.start : segment.end] = True
        for pause in segment.pauses:
            spoken[segment.start + pause.start : segment.start + pause.end] = False
    return Channel(channel, spoken, tuple(uncut), reached_dbfs)


def _at_level(speech: Speech, level_dbfs: float) -> np.ndarray:
    samples = _resample(speech, TARGET_RATE)
    return to_int16(samples * gain_to(samples, level_dbfs))


def _resample(speech: Speech, rate: int) -> np.ndarray:
    samples = to_float(speech.samples)
    resampled: np.ndarray = samples if speech.rate == rate else soxr.resample(samples, speech.rate, rate, quality="HQ")
    return resampled


def gain_to(samples: np.ndarray, level_dbfs: float) -> float:
    """The gain that brings speech in [-1, 1] to an RMS level, or as near as its peak allows; 0 for silence."""
    return gain_and_level(samples, level_dbfs)[0]


def gain_and_level(samples: np.ndarray, level_dbfs: float) -> tuple[float, float]:
    """That gain, and the resulting RMS level in dBFS."""
    rms, peak = _rms(samples), float(np.max(np.abs(samples)))
    if rms == 0:
        return 0.0, level_dbfs
    gain = min(10 ** (level_dbfs / 20) / rms, PEAK / peak)
    return gain, min(level_dbfs, 20 * math.log10(PEAK * rms / peak))


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _paused(segment: Segment) -> int:
    return sum(pause.length for pause in segment.pauses)


def _parted(samples: np.ndarray, segment: Segment, rate: int) -> np.ndarray:
    """A segment's speech with its pauses: shape (samples + pauses,). Each stretch between them is faded in and out,
    with a longer fade where the segment is cut off."""
    parted = np.zeros(len(samples) + _paused(segment), dtype=np.float32)
    at = begin = 0
    for end, behind in [*((pause.start, pause.end) for pause in segment.pauses), (len(parted), len(parted))]:
        last = end == len(parted)
        fades = _fades(end - begin, rate, CUT_FADE_S if segment.cut_off and last else EDGE_FADE_S)
        parted[begin:end] = samples[at : at + end - begin] * fades
        at, begin = at + end - begin, behind
    return parted


def _fit(samples: np.ndarray, length: int) -> np.ndarray:
    """Exactly `length` samples: a cut-off ends early, and resampling may change a length by one."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def _fades(length: int, rate: int, fade_out_s: float) -> np.ndarray:
    """A raised-cosine fade at both ends, the second one longer if speech is cut off; ends on zero."""
    envelope = np.ones(length, dtype=np.float32)
    fade_in = _ramp(min(round(EDGE_FADE_S * rate), length // 2))
    fade_out = _ramp(min(round(fade_out_s * rate), length // 2))
    envelope[: len(fade_in)] = fade_in
    envelope[length - len(fade_out) :] = fade_out[::-1]
    return envelope


def _ramp(length: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))).astype(np.float32)
