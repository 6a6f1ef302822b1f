import random

import numpy as np
import pytest

from manifests.pcm import to_int16
from stages.sound.levels import LevelChangeSettings, change_level, turned_down

STEADY = np.full(16_000 * 30, 0.1, np.float32)


def test_gains_match_their_labels():
    heard, changes = change_level(STEADY, LevelChangeSettings(share=1), random.Random(3))
    inside = [level for level in changes.levels if level.at < len(STEADY)]
    assert len(inside) >= 4 and inside[0].at == 0
    measured = [20 * np.log10(heard[level.at] / 0.1) for level in inside]
    assert measured == pytest.approx([level.gain_db for level in inside], abs=0.01)
    assert all(-8 <= level.gain_db <= 2 for level in inside)
    steps = np.diff([level.at for level in changes.levels]) / 16_000
    assert steps.min() >= 2 and steps.max() <= 8


def test_the_gain_is_interpolated_linearly_in_db():
    heard, changes = change_level(STEADY, LevelChangeSettings(share=1), random.Random(3))
    one, other = changes.levels[:2]
    middle = 20 * np.log10(heard[(one.at + other.at) // 2] / 0.1)
    assert middle == pytest.approx((one.gain_db + other.gain_db) / 2, abs=0.05)


def test_only_audio_that_would_clip_is_attenuated_and_as_a_whole():
    fits = np.array([0.5, -0.99], np.float32)
    assert turned_down(fits)[0] is fits and turned_down(fits)[1] == 0
    loud = np.array([0.5, -1.78, 0.1])
    softer, by_db = turned_down(loud)
    assert softer == pytest.approx(loud / 2)
    assert by_db == pytest.approx(6.02, abs=0.01)
    assert np.abs(to_int16(softer).astype(int)).max() < 32_767
    assert len(turned_down(np.zeros(0))[0]) == 0
