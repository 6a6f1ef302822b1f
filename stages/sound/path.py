"""The path of the user's sound to the agent, effect by effect, in the order in which sound travels."""

import random
from collections.abc import Callable

import numpy as np

from manifests.pcm import to_float, to_int16
from manifests.records import Noise
from manifests.sound import Sound
from stages.base import Settings
from stages.sound.band import MicrophoneSettings, TelephoneSettings, through_microphone, through_telephone
from stages.sound.codec import CodecSettings, through_codec
from stages.sound.echo import EchoSettings, add_echo
from stages.sound.levels import LevelChangeSettings, change_level, turned_down
from stages.sound.noise import NoiseSettings, add_noise
from stages.sound.noise_recordings import NoiseRecordingSettings, add_recorded_noise
from stages.sound.packet_loss import PacketLossSettings, lose_packets
from stages.sound.recordings import check_manifest, fingerprint
from stages.sound.rooms import RoomSettings, in_room

Draw = Callable[[str], random.Random]
"""A random generator for a purpose in one dialogue."""


class SoundSettings(Settings):
    """The effects; each is off unless its share is above 0."""

    room: RoomSettings = RoomSettings()
    echo: EchoSettings = EchoSettings()
    noise: NoiseSettings = NoiseSettings()
    noise_recordings: NoiseRecordingSettings = NoiseRecordingSettings()
    microphone: MicrophoneSettings = MicrophoneSettings()
    level_changes: LevelChangeSettings = LevelChangeSettings()
    telephone: TelephoneSettings = TelephoneSettings()
    codec: CodecSettings = CodecSettings()
    packet_loss: PacketLossSettings = PacketLossSettings()

    @property
    def off(self) -> bool:
        """Whether the recipe has no effects."""
        return not any(getattr(self, effect).share for effect in SoundSettings.model_fields)

    def manifests(self) -> dict[str, str]:
        """The manifests of recordings in use, by key."""
        named = {
            "room.recordings": (self.room.share, self.room.recordings),
            "noise_recordings.manifest": (self.noise_recordings.share, self.noise_recordings.manifest),
        }
        return {key: manifest for key, (share, manifest) in named.items() if share and manifest}


def check_sound(settings: SoundSettings) -> None:
    """Raise `RequestError` if a manifest in the recipe can't be used."""
    for key, manifest in settings.manifests().items():
        check_manifest(f"render.{key}", manifest)


def sound_made_by(settings: SoundSettings) -> dict[str, str]:
    """What the sound depends on besides the recipe: the manifests' content."""
    return {f"{key}_sha256": fingerprint(manifest) for key, manifest in settings.manifests().items()}


def heard_by_agent(
    user: np.ndarray, spoken: np.ndarray, speech_dbfs: float, agent: np.ndarray, settings: SoundSettings, draw: Draw
) -> tuple[np.ndarray, Noise | None, Sound]:
    """The user's channel as it reaches the agent, its noise, and the other effects.

    `user` is int16 at 16 kHz, speech of an RMS level of `speech_dbfs` in silence, and `spoken` marks which samples
    are speech; `agent` is int16 at 22.05 kHz. Nothing moves in time, so labels stay valid. Raises `BadDialogue` if
    a recording drawn for it can't be read."""
    if settings.off:
        return user, None, Sound()
    channel = to_float(user)
    channel, room = in_room(channel, spoken, settings.room, draw("room"))
    channel, echo = add_echo(channel, agent, settings.echo, draw("echo"))
    channel, noise = add_noise(channel, speech_dbfs, settings.noise, draw("noise"))
    channel, noise_recording = add_recorded_noise(
        channel, speech_dbfs, settings.noise_recordings, draw("noise_recordings")
    )
    channel, microphone = through_microphone(channel, settings.microphone, draw("microphone"))
    channel, level_changes = change_level(channel, settings.level_changes, draw("level_changes"))
    channel, telephone = through_telephone(channel, settings.telephone, draw("telephone"))
    channel, before_db = turned_down(channel)  # a codec would clip it
    channel, codec = through_codec(channel, settings.codec, draw("codec"))
    channel, packet_loss = lose_packets(channel, settings.packet_loss, draw("packet_loss"))
    channel, after_db = turned_down(channel)
    sound = Sound(
        room=room,
        echo=echo,
        noise_recording=noise_recording,
        microphone=microphone,
        level_changes=level_changes,
        telephone=telephone,
        codec=codec,
        packet_loss=packet_loss,
        turned_down_db=round(before_db + after_db, 2),
    )
    return to_int16(channel), noise, sound
