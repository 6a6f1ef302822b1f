"""The effects on the user's channel between mouth and agent: a record for each one, or None.

Times are whole samples at 16 kHz. `Sound.described` is a cut's description of them, in seconds.
"""

from dataclasses import dataclass, fields
from typing import Any

from manifests.frames import SOURCE_RATE


@dataclass(frozen=True, slots=True)
class Room:
    """The user's room. A recorded impulse response has an id and no known walls; a simulated one has walls and
    no id."""

    rt60_s: float
    """Reverberation time (−60 dB), from the slope between −5 and −35 dB."""
    recording: str = ""
    size_m: tuple[float, ...] = ()
    """Length, width and height."""
    distance_m: float | None = None
    """Distance from mouth to microphone."""


@dataclass(frozen=True, slots=True)
class Echo:
    """The agent's echo in the user's microphone."""

    gain: float
    """Amplitude relative to the agent's channel."""
    delay: int


@dataclass(frozen=True, slots=True)
class NoiseRecording:
    """Recorded noise on the whole of the user's channel: the recording from `start`, repeated."""

    recording: str
    start: int
    snr_db: float
    """Level of the user's speech relative to it."""


@dataclass(frozen=True, slots=True)
class Band:
    """The pass band of a microphone or telephone: its −3 dB edges."""

    kind: str
    low_hz: float
    high_hz: float


@dataclass(frozen=True, slots=True)
class Level:
    at: int
    gain_db: float


@dataclass(frozen=True, slots=True)
class LevelChanges:
    """Gains at given times, linearly interpolated in dB."""

    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Codec:
    """The codec that the channel was encoded and decoded with."""

    kind: str
    kbps: float


@dataclass(frozen=True, slots=True)
class PacketLoss:
    """Lost packets of `packet` samples, numbered from 0, whose sound was concealed."""

    packet: int
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sound:
    """All effects, in the order in which sound travels; synthetic noise (`DuplexDialogue.noise`) is added along with
    the echo."""

    room: Room | None = None
    echo: Echo | None = None
    noise_recording: NoiseRecording | None = None
    microphone: Band | None = None
    level_changes: LevelChanges | None = None
    telephone: Band | None = None
    codec: Codec | None = None
    packet_loss: PacketLoss | None = None
    turned_down_db: float = 0.0
    """Attenuation of the whole channel to prevent clipping."""

    def described(self) -> dict[str, Any]:
        """The custom fields of a cut: one for each effect present."""
        found: dict[str, Any] = {}
        if room := self.room:
            walls = {"size_m": list(room.size_m), "distance_m": room.distance_m}
            found["room"] = {"rt60_s": room.rt60_s} | ({"recording": room.recording} if room.recording else walls)
        if echo := self.echo:
            found["echo"] = {"gain": echo.gain, "delay_s": _seconds(echo.delay)}
        if noise := self.noise_recording:
            at = _seconds(noise.start)
            found["noise_recording"] = {"recording": noise.recording, "start_s": at, "snr_db": noise.snr_db}
        for name, band in (("microphone", self.microphone), ("telephone", self.telephone)):
            if band:
                found[name] = {"kind": band.kind, "low_hz": band.low_hz, "high_hz": band.high_hz}
        if changes := self.level_changes:
            found["level_changes"] = [[_seconds(level.at), level.gain_db] for level in changes.levels]
        if codec := self.codec:
            found["codec"] = {"kind": codec.kind, "kbps": codec.kbps}
        if loss := self.packet_loss:
            found["packet_loss"] = {"packet_s": _seconds(loss.packet), "lost": list(loss.lost)}
        if self.turned_down_db:
            found["turned_down_db"] = self.turned_down_db
        return found


EFFECTS = tuple(part.name for part in fields(Sound))
"""The names of the effects, in the order in which sound travels."""


def _seconds(samples: int) -> float:
    return round(samples / SOURCE_RATE, 8)
