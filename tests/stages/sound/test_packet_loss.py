import random

import numpy as np
import pytest

from stages.sound.packet_loss import BLEND, MOST_IN_A_ROW, PACKET, PacketLossSettings, lose_packets

SECONDS = 20
VOICE = sum(
    0.1 / n * np.sin(2 * np.pi * 130 * n * np.arange(16_000 * SECONDS) / 16_000 + n) for n in range(1, 12)
).astype(np.float32)
"""A steady buzz at 130 Hz."""


def lossy(channel=VOICE, seed=0, **settings):
    return lose_packets(channel, PacketLossSettings(share=1, **settings), random.Random(seed))


def rms(samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=float))))


def first_of_runs(lost) -> list[int]:
    return [packet for packet in lost if packet - 1 not in lost]


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_the_requested_share_of_packets_is_lost_and_no_more_than_a_few_in_a_row(rate):
    silent = np.zeros(PACKET * 20_000, np.float32)
    _, loss = lossy(silent, rate={"low": rate, "high": rate})
    assert len(loss.lost) / 20_000 == pytest.approx(rate, rel=0.15)
    runs = np.diff([-1, *np.flatnonzero(np.diff(loss.lost) > 1), len(loss.lost) - 1])
    assert 1 < runs.mean() < 1.8
    assert 2 <= runs.max() <= MOST_IN_A_ROW


def test_received_packets_are_unchanged_except_for_a_short_blend_after_a_loss():
    heard, loss = lossy()
    touched = np.zeros(len(VOICE), bool)
    for packet in loss.lost:
        touched[packet * PACKET : (packet + 1) * PACKET + BLEND] = True
    assert np.array_equal(heard[~touched], VOICE[~touched])
    assert (heard[touched] != VOICE[touched]).mean() > 0.9


def test_a_lost_packet_sounds_like_the_voice_around_it():
    heard, loss = lossy(rate={"low": 0.05, "high": 0.05}, burst=1)
    for packet in loss.lost[1:]:
        part = slice(packet * PACKET, (packet + 1) * PACKET)
        assert np.corrcoef(heard[part], VOICE[part])[0, 1] > 0.8
        assert rms(heard[part]) > 0.7 * rms(VOICE[part])


def test_no_click_where_packets_are_missing():
    heard, loss = lossy(rate={"low": 0.05, "high": 0.05})
    steepest = np.abs(np.diff(VOICE)).max()
    edges = [packet * PACKET for packet in loss.lost if packet]
    assert edges
    assert max(np.abs(np.diff(heard[edge - 2 : edge + PACKET + BLEND])).max() for edge in edges) < 2 * steepest


def test_a_long_loss_fades_out():
    heard, loss = lossy(rate={"low": 0.3, "high": 0.3}, burst=4)
    longest = next(p for p in first_of_runs(loss.lost) if all(p + i in loss.lost for i in range(MOST_IN_A_ROW)))
    level = [rms(heard[(longest + i) * PACKET : (longest + i + 1) * PACKET]) for i in range(MOST_IN_A_ROW)]
    assert level[0] > level[1] > level[2] > level[3] == level[4] == 0


def test_silence_is_concealed_by_silence():
    quiet = np.concatenate([np.zeros(16_000), VOICE[:16_000]]).astype(np.float32)
    heard, _ = lossy(quiet, rate={"low": 0.3, "high": 0.3})
    assert not heard[:16_000].any()
    assert len(heard) == len(quiet)


def test_the_first_and_the_last_packet_may_be_lost_and_a_broken_one_too():
    for seed in range(30):
        short = VOICE[: PACKET * 3 + 7]
        heard, loss = lossy(short, seed, rate={"low": 0.4, "high": 0.4})
        assert len(heard) == len(short) and np.isfinite(heard).all()
        assert all(0 <= packet <= 3 for packet in loss.lost)


def test_it_is_reproducible_and_off_by_default():
    assert np.array_equal(lossy(seed=4)[0], lossy(seed=4)[0])
    assert lossy(seed=4)[1] != lossy(seed=5)[1]
    heard, loss = lose_packets(VOICE, PacketLossSettings(), random.Random(0))
    assert heard is VOICE and loss is None
