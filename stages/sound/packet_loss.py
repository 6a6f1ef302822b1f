"""Lost packets on the user's channel, and their concealment by the receiver.

Losses come in bursts (the two-state Gilbert model). The receiver repeats the last pitch period and fades it out, much
like ITU-T G.711, Appendix I."""

import itertools
import random
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from manifests.frames import SOURCE_RATE
from manifests.sound import PacketLoss
from stages.base import Settings
from stages.sound.spread import Spread, within

PACKET = SOURCE_RATE // 50
"""Samples per 20 ms packet."""
MOST_IN_A_ROW = 5
"""100 ms: a longer loss would move a turn's edge by more than the labels allow."""
PERIODS = range(SOURCE_RATE // 400, SOURCE_RATE // 66)
"""Range of a voice's pitch period in samples."""
STEADY, FADING = SOURCE_RATE // 100, SOURCE_RATE // 20
"""The concealment is held for 10 ms and faded out over the next 50 ms."""
BLEND = SOURCE_RATE // 200
"""The first 5 ms received after a loss are cross-faded."""


class PacketLossSettings(Settings):
    share: float = Field(
        default=0, ge=0, le=1, description="share of the dialogues in which packets of the user's channel are lost"
    )
    rate: Annotated[Spread, within(0, 0.4)] = Field(
        default=Spread(low=0.01, high=0.1), description="mean share of lost 20 ms packets"
    )
    burst: float = Field(
        default=1.5, ge=1, le=4, description="mean number of consecutive lost packets; at most 5 are lost in a row"
    )


def lose_packets(
    channel: np.ndarray, settings: PacketLossSettings, draw: random.Random
) -> tuple[np.ndarray, PacketLoss | None]:
    """The user's channel (floats, at 16 kHz) with lost packets concealed; other packets are unchanged, except for the
    first 5 ms after a loss."""
    if draw.random() >= settings.share:
        return channel, None
    lost = _lost(-(-len(channel) // PACKET), settings.rate.draw(draw), settings.burst, draw)
    heard = np.array(channel)
    for first, past in _runs(lost):
        _conceal(heard, first * PACKET, min(past * PACKET, len(heard)))
    return heard, PacketLoss(PACKET, tuple(lost))


def _lost(packets: int, rate: float, burst: float, draw: random.Random) -> list[int]:
    """Which packets are lost: losses continue with the probability that yields the given mean burst length."""
    begins, goes_on = min(1.0, rate / (burst * (1 - rate))), 1 - 1 / burst
    lost: list[int] = []
    row = 0
    for packet in range(packets):
        again = 0 < row < MOST_IN_A_ROW and draw.random() < goes_on
        begun = row == 0 and draw.random() < begins
        row = row + 1 if again or begun else 0
        if row:
            lost.append(packet)
    return lost


def _runs(packets: list[int]) -> Iterator[tuple[int, int]]:
    """Start and end (exclusive) of each run of consecutive packets."""
    for _, run in itertools.groupby(enumerate(packets), key=lambda numbered: numbered[1] - numbered[0]):
        together = [packet for _, packet in run]
        yield together[0], together[-1] + 1


def _conceal(heard: np.ndarray, start: int, end: int) -> None:
    """Replace `heard[start:end]` with a continuation of what came before, cross-faded into what follows."""
    after = min(BLEND, len(heard) - end)
    period = _period(heard[:start])
    past = np.pad(heard[max(0, start - period) : start], (max(0, period - start), 0))
    guess = np.resize(past, end - start + after)
    guess = guess * np.clip((STEADY + FADING - np.arange(len(guess))) / FADING, 0, 1)
    arriving = np.arange(1, after + 1) / (BLEND + 1)
    heard[end : end + after] = arriving * heard[end : end + after] + (1 - arriving) * guess[end - start :]
    heard[start:end] = guess[: end - start]


def _period(before: np.ndarray) -> int:
    """The lag within the pitch range at which the last 20 ms are most self-similar."""
    longest = PERIODS[-1]
    before = np.pad(before[-(PACKET + longest) :], (max(0, PACKET + longest - len(before)), 0)).astype(np.float64)
    last = before[-PACKET:]
    windows = np.lib.stride_tricks.sliding_window_view(before, PACKET)[longest - np.array(PERIODS)]
    likeness = windows @ last / np.sqrt(np.sum(windows**2, axis=1) + 1e-9)
    return PERIODS[int(np.argmax(likeness))]
