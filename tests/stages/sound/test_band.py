import random

import numpy as np
import pytest

from stages.sound.band import (
    MICROPHONES,
    TELEPHONE,
    MicrophoneSettings,
    TelephoneSettings,
    through_microphone,
    through_telephone,
)

CLICK = np.concatenate([[1.0], np.zeros(15_999)]).astype(np.float32)


def gains_db(response: np.ndarray) -> np.ndarray:
    """The response at each frequency from 0 to 8 000 Hz, in steps of 1 Hz."""
    return 20 * np.log10(np.abs(np.fft.rfft(response)) + 1e-12)


@pytest.mark.parametrize("kind", MICROPHONES)
def test_a_microphones_edges_lie_where_they_are_said_to_be(kind):
    response, band = through_microphone(CLICK, MicrophoneSettings(share=1, kinds=[kind]), random.Random(0))
    gains = gains_db(response)
    assert (band.kind, band) == (kind, MICROPHONES[kind])
    assert gains[[int(band.low_hz), int(band.high_hz)]] == pytest.approx([-3, -3], abs=1)
    middle = gains[int(band.low_hz * 1.6) : int(band.high_hz * 0.7)]
    assert middle == pytest.approx(np.zeros(len(middle)), abs=1)
    assert gains[int(band.low_hz / 2)] < -10


def test_a_telephone_passes_only_its_band():
    response, band = through_telephone(CLICK, TelephoneSettings(share=1), random.Random(0))
    gains = gains_db(response)
    assert band == TELEPHONE
    assert gains[[300, 3_400]] == pytest.approx([-3, -3], abs=1)
    assert gains[340:3_100] == pytest.approx(np.zeros(2_760), abs=1)
    assert gains[1:150].max() < -40 and gains[4_600:].max() < -25


@pytest.mark.parametrize(
    "through, settings", [(through_microphone, MicrophoneSettings), (through_telephone, TelephoneSettings)]
)
def test_nothing_is_heard_before_its_time_and_little_of_it_late(through, settings):
    late = np.concatenate([np.zeros(4_000), CLICK[:8_000]]).astype(np.float32)
    for seed in range(4):
        response, _ = through(late, settings(share=1), random.Random(seed))
        assert not response[:4_000].any()
        energy = np.cumsum(response**2)
        assert energy[4_000 + 160] > 0.9 * energy[-1]  # within 10 ms


def test_by_default_everything_passes():
    for through, settings in ((through_microphone, MicrophoneSettings()), (through_telephone, TelephoneSettings())):
        heard, band = through(CLICK, settings, random.Random(0))
        assert heard is CLICK and band is None


def test_each_kind_is_drawn():
    kinds = {through_microphone(CLICK, MicrophoneSettings(share=1), random.Random(i))[1].kind for i in range(40)}
    assert kinds == set(MICROPHONES)


def test_a_share_holds_over_many_dialogues():
    some = [through_telephone(CLICK[:10], TelephoneSettings(share=0.4), random.Random(i))[1] for i in range(400)]
    assert 120 <= sum(band is not None for band in some) <= 200
