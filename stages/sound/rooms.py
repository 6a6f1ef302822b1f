"""Rooms: the user's voice convolved with an impulse response, simulated by the image-source method or recorded.

The direct sound keeps its time and the speech its level, so words and turns stay where their labels say; what a room
adds comes after. Reverberation makes a turn seem to end later: to a voice activity detector, by about two frames at
most with the defaults, and by three with half a second of reverberation at one meter."""

import math
import random
from typing import Annotated

import numpy as np
from pydantic import Field

from manifests.frames import SOURCE_RATE, to_samples
from manifests.records import BadDialogue
from manifests.sound import Room
from stages.base import Settings
from stages.sound.recordings import choose, read_at_source_rate
from stages.sound.spread import Spread, within

SMALLEST_M, LARGEST_M = (3.0, 2.6, 2.4), (8.0, 6.0, 3.2)
"""Length, width and height of simulated rooms."""
MARGIN_M = 0.3
"""Minimum distance of mouth and microphone from every wall."""
SPEED = 343.0
BEFORE = 16
"""Samples kept before the direct sound's peak: its band-limited pulse has two flanks."""
LONGEST_S = 4.0
"""Maximum length of a recorded response."""


class RoomSettings(Settings):
    share: float = Field(default=0, ge=0, le=1, description="share of the dialogues in which the user speaks in a room")
    rt60_s: Annotated[Spread, within(0.1, 0.8)] = Field(
        default=Spread(low=0.15, high=0.4), description="reverberation time (−60 dB) of a simulated room"
    )
    distance_m: Annotated[Spread, within(0.1, 2)] = Field(
        default=Spread(low=0.2, high=0.7), description="distance from mouth to microphone in a simulated room"
    )
    recordings: str = Field(
        default="",
        description="a Lhotse manifest of recorded impulse responses, used instead of simulated rooms",
    )


def in_room(
    channel: np.ndarray, spoken: np.ndarray, settings: RoomSettings, draw: random.Random
) -> tuple[np.ndarray, Room | None]:
    """The user's channel (floats, at 16 kHz) in a room; `spoken` marks the samples that are speech.

    Raises `BadDialogue` if a recorded response can't be read.
    """
    if draw.random() >= settings.share:
        return channel, None
    from scipy import signal  # slow to import

    response, room = _recorded(settings, draw) if settings.recordings else _simulated(settings, draw)
    heard = signal.oaconvolve(channel, response)[BEFORE : BEFORE + len(channel)]
    before, after = (float(np.sqrt(np.mean(np.square(one[spoken], dtype=np.float64)))) for one in (channel, heard))
    return (heard * (before / after) if after else channel), room


def simulated_response(
    size_m: tuple[float, ...], mouth: np.ndarray, microphone: np.ndarray, rt60_s: float
) -> np.ndarray:
    """The impulse response of a box with uniform walls, floats at 16 kHz; its direct sound is sample `BEFORE`.

    The absorption of the walls is from Eyring's formula. A box's images decay more slowly than that, so a uniform
    absorption along the path, like that of air, makes up for the rest."""
    import pyroomacoustics

    pyroomacoustics.constants.set(
        "num_threads", 1
    )  # the sum of the images depends on how they are distributed over threads
    length, width, height = size_m
    volume, surface = length * width * height, 2 * (length * width + length * height + width * height)
    absorption = 1 - math.exp(-24 * math.log(10) / SPEED * volume / (surface * rt60_s))
    order = math.ceil(0.6 * rt60_s * SPEED * math.sqrt(sum(side**-2 for side in size_m)))
    box = pyroomacoustics.ShoeBox(
        list(size_m), fs=SOURCE_RATE, materials=pyroomacoustics.Material(absorption), max_order=order
    )
    box.add_source(list(mouth))
    box.add_microphone(list(microphone))
    box.compute_rir()
    lead = pyroomacoustics.constants.get("frac_delay_length") // 2
    direct = round(float(np.linalg.norm(mouth - microphone)) / SPEED * SOURCE_RATE) + lead
    response: np.ndarray = box.rir[0][0][direct - BEFORE : direct + to_samples(1.2 * rt60_s, SOURCE_RATE)]
    time = (np.arange(len(response)) - BEFORE) / SOURCE_RATE
    for _ in range(4):
        response = response * np.exp(-3 * math.log(10) * (1 / rt60_s - 1 / reverberation_s(response)) * time)
    return response


def reverberation_s(response: np.ndarray) -> float:
    """RT60 by Schroeder's integration: the slope from −5 to −35 dB, extrapolated to 60 dB (ISO 3382: T30); 0 without
    reverberation."""
    energy = np.cumsum(np.square(response[::-1]))[::-1]
    level_db = 10 * np.log10(energy[energy > 0] / energy[0])
    between = np.flatnonzero((level_db <= -5) & (level_db >= -35))
    slope = np.polyfit(between / SOURCE_RATE, level_db[between], 1)[0] if len(between) > 1 else 0.0
    return float(-60 / slope) if slope < 0 else 0.0


def _simulated(settings: RoomSettings, draw: random.Random) -> tuple[np.ndarray, Room]:
    rt60_s = settings.rt60_s.draw(draw)
    size = tuple(round(draw.uniform(*sides), 2) for sides in zip(SMALLEST_M, LARGEST_M, strict=True))
    # A whole number of samples, so that the direct sound falls on one.
    samples = max(1, round(settings.distance_m.draw(draw) / SPEED * SOURCE_RATE))
    mouth, microphone = _places(np.array(size), samples * SPEED / SOURCE_RATE, draw)
    room = Room(rt60_s, size_m=size, distance_m=round(samples * SPEED / SOURCE_RATE, 3))
    return simulated_response(size, mouth, microphone, rt60_s), room


def _places(size: np.ndarray, distance: float, draw: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """Random positions of mouth and microphone at this distance; around the middle if no random position fits."""
    for _ in range(100):
        microphone = np.array([draw.uniform(MARGIN_M, side - MARGIN_M) for side in size])
        turn, rise = draw.uniform(0, 2 * math.pi), draw.uniform(-0.4, 0.4)
        way = np.array([math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise), math.sin(rise)])
        mouth = microphone + distance * way
        if np.all(mouth > MARGIN_M) and np.all(mouth < size - MARGIN_M):
            return mouth, microphone
    half = np.array([distance / 2, 0, 0])
    return size / 2 - half, size / 2 + half


def _recorded(settings: RoomSettings, draw: random.Random) -> tuple[np.ndarray, Room]:
    one = choose(settings.recordings, draw)
    response = read_at_source_rate(one)
    direct = int(np.argmax(np.abs(response)))
    if response[direct] == 0:
        message = f"The impulse response '{one.id}' of {settings.recordings} is silent; remove it from the manifest."
        raise BadDialogue("silent_response", message)
    response = np.pad(response, (max(0, BEFORE - direct), 1))[max(0, direct - BEFORE) :][
        : to_samples(LONGEST_S, SOURCE_RATE)
    ]
    return response, Room(round(reverberation_s(response), 3), recording=one.id)
