"""What befalls the user's channel between mouth and agent: a record for each effect, None if there is none.

Times are whole samples at 16 kHz. `Sound.described` is what a cut says of it, in seconds.
"""

from dataclasses import dataclass, fields
from typing import Any

from manifests.frames import SOURCE_RATE


@dataclass(frozen=True, slots=True)
class Room:
    """Where the user speaks. A recorded impulse response has an id and no known walls; a simulated one has walls and
    no id."""

    rt60_s: float
    """How long its sound takes to fall by 60 dB, from the slope between −5 and −35 dB."""
    recording: str = ""
    size_m: tuple[float, ...] = ()
    """Length, width and height."""
    distance_m: float | None = None
    """From the mouth to the microphone."""


@dataclass(frozen=True, slots=True)
class Echo:
    """The agent, as the user's microphone hears it."""

    gain: float
    """Of the agent's channel, as an amplitude."""
    delay: int


@dataclass(frozen=True, slots=True)
class NoiseRecording:
    """Recorded noise under the user's channel, all along: the recording from `start` on, over and over."""

    recording: str
    start: int
    snr_db: float
    """Level of the user's speech above it."""


@dataclass(frozen=True, slots=True)
class Band:
    """What a microphone or a telephone lets through: its edges, at which it takes 3 dB."""

    kind: str
    low_hz: float
    high_hz: float


@dataclass(frozen=True, slots=True)
class Level:
    at: int
    gain_db: float


@dataclass(frozen=True, slots=True)
class LevelChanges:
    """Gains at moments; from one to the next the gain in dB changes evenly."""

    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Codec:
    """What the channel was packed with and unpacked again."""

    kind: str
    kbps: float


@dataclass(frozen=True, slots=True)
class PacketLoss:
    """Packets of `packet` samples that did not arrive, counted from 0; something like their sound was put in their
    place."""

    packet: int
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sound:
    """All of it, in the order in which sound travels; synthetic noise (`DuplexDialogue.noise`) joins beside the echo."""

    room: Room | None = None
    echo: Echo | None = None
    noise_recording: NoiseRecording | None = None
    microphone: Band | None = None
    level_changes: LevelChanges | None = None
    telephone: Band | None = None
    codec: Codec | None = None
    packet_loss: PacketLoss | None = None
    turned_down_db: float = 0.0
    """By how much the whole channel was turned down, since it would have clipped."""

    def described(self) -> dict[str, Any]:
        """The custom fields of a cut: one for each effect that there is."""
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
"""Their names, in the order in which sound travels."""


def _seconds(samples: int) -> float:
    return round(samples / SOURCE_RATE, 8)
