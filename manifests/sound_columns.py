"""The entries of `manifests/columns.py` on the sound of the user's channel."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from manifests.figures import REAL, TEXT, WHOLE, Aim, Column, Distribution, Number, total
from manifests.frames import SOURCE_RATE
from manifests.records import DuplexDialogue
from manifests.sound import Sound


def _of(value: Callable[[Sound], Any]) -> Callable[[DuplexDialogue], Any]:
    return lambda record: value(record.sound)


def _named(rows: pd.DataFrame) -> int:
    """The number of dialogues with it."""
    return int((rows.iloc[:, 0] != "").sum())


def _known(rows: pd.DataFrame) -> int:
    return int(rows.iloc[:, 0].notna().sum())


def _range_db(sound: Sound) -> float | None:
    """The range from the lowest to the highest gain."""
    if not sound.level_changes:
        return None
    gains = [level.gain_db for level in sound.level_changes.levels]
    return round(max(gains) - min(gains), 2)


SOUND_COLUMNS = (
    Column(
        "room", TEXT, _of(lambda s: (s.room.recording or "simulated") if s.room else ""), "",
        "The user's room: simulated, or the name of a recorded impulse response; empty if there is none.",
        (Number("dialogues_in_rooms", "dialogues in a room", _named),),
    ),
    Column(
        "rt60_s", REAL, _of(lambda s: s.room.rt60_s if s.room else None), "s",
        "Reverberation time (−60 dB) of the room.",
        (
            Distribution(
                "rt60_s", "reverberation time", "user", (Aim("render.room.rt60_s.low"), Aim("render.room.rt60_s.high"))
            ),
        ),
    ),
    Column(
        "echo_gain", REAL, _of(lambda s: s.echo.gain if s.echo else None), "",
        "Amplitude of the agent's echo in the user's microphone, relative to the agent's channel.",
        (
            Number("dialogues_with_echo", "dialogues with an echo of the agent", _known),
            Distribution(
                "echo_gain", "gain of the echo", "agent", (Aim("render.echo.gain.low"), Aim("render.echo.gain.high"))
            ),
        ),
    ),
    Column(
        "echo_delay_s", REAL, _of(lambda s: round(s.echo.delay / SOURCE_RATE, 4) if s.echo else None), "s",
        "Delay of the agent's echo.",
        (
            Distribution(
                "echo_delay_s", "delay of the echo", "agent",
                (Aim("render.echo.delay_s.low"), Aim("render.echo.delay_s.high")),
            ),
        ),
    ),
    Column(
        "noise_recording", TEXT, _of(lambda s: s.noise_recording.recording if s.noise_recording else ""), "",
        "The noise recording on the user's channel; empty if there is none.",
        (Number("dialogues_with_recorded_noise", "dialogues with recorded noise", _named),),
    ),
    Column(
        "noise_recording_snr_db", REAL, _of(lambda s: s.noise_recording.snr_db if s.noise_recording else None), "dB",
        "Level of the user's speech relative to the recorded noise.",
        (
            Distribution(
                "noise_recording_snr_db", "speech relative to the recorded noise", "user",
                (Aim("render.noise_recordings.snr_db.low"), Aim("render.noise_recordings.snr_db.high")), signed=True,
            ),
        ),
    ),
    Column(
        "microphone", TEXT, _of(lambda s: s.microphone.kind if s.microphone else ""), "",
        "The user's microphone; empty if it is not band-limited.",
        (Number("dialogues_with_microphone", "dialogues through a band-limited microphone", _named),),
    ),
    Column(
        "level_range_db", REAL, _of(_range_db), "dB", "Range of the gains on the user's channel.",
        (Number("dialogues_with_level_changes", "dialogues with a changing level", _known),),
    ),
    Column(
        "telephone", TEXT, _of(lambda s: s.telephone.kind if s.telephone else ""), "",
        "The telephone line of the user's channel; empty if there is none.",
        (Number("dialogues_by_telephone", "dialogues by telephone", _named),),
    ),
    Column(
        "codec", TEXT, _of(lambda s: s.codec.kind if s.codec else ""), "",
        "The codec that the user's channel passed through.",
        (Number("dialogues_through_a_codec", "dialogues through a codec", _named),),
    ),
    Column(
        "lost_packets", WHOLE, _of(lambda s: len(s.packet_loss.lost) if s.packet_loss else 0), "packets",
        "Lost packets of the user's channel.",
        (Number("lost_packets", "lost packets", total),),
    ),
    Column(
        "turned_down_db", REAL, _of(lambda s: s.turned_down_db), "dB",
        "Attenuation of the user's whole channel to prevent clipping.",
    ),
)  # fmt: skip
