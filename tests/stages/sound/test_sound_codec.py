import io
import random

import numpy as np
import pytest
import soundfile

from stages.sound.codec import CodecSettings, through_codec


@pytest.fixture(scope="module")
def speech(rendered) -> np.ndarray:
    """Some seconds of a user's channel, floats at 16 kHz, with silence around the speech."""
    return (rendered[0].user[: 16_000 * 6] / 32_768).astype(np.float32)


def lag(heard: np.ndarray, sent: np.ndarray) -> int:
    """By how many samples one signal comes after the other."""
    length = 2 * len(sent)
    likeness = np.fft.irfft(np.fft.rfft(heard, length) * np.conj(np.fft.rfft(sent, length)))
    at = int(likeness.argmax())
    return at if at < len(sent) else at - length


@pytest.mark.parametrize("kind, kbps", [("mulaw", 64), ("opus", 8), ("opus", 16), ("opus", 32), ("opus", 64)])
def test_a_round_trip_keeps_length_time_and_sound(speech, kind, kbps):
    settings = CodecSettings(share=1, kinds=[kind], opus_kbps={"low": min(kbps, 64), "high": kbps})
    heard, codec = through_codec(speech, settings, random.Random(0))
    assert (codec.kind, codec.kbps) == (kind, kbps)
    assert heard.shape == speech.shape
    assert abs(lag(heard, speech)) <= 1
    assert np.corrcoef(heard, speech)[0, 1] > 0.85
    assert not np.array_equal(heard, speech)
    silent = np.flatnonzero(speech)[0] - 320
    assert np.abs(heard[:silent]).max() < 0.002


def test_each_turn_is_where_it_was(rendered):
    """Over a whole dialogue, to detect drift."""
    sent = (rendered[1].user / 32_768).astype(np.float32)
    for kind in ("mulaw", "opus"):
        heard, _ = through_codec(sent, CodecSettings(share=1, kinds=[kind]), random.Random(0))
        assert len(heard) == len(sent)
        for segment in rendered[1].timeline.segments:
            if segment.speaker == "user":
                part = slice(segment.start, segment.end)
                assert abs(lag(heard[part], sent[part])) <= 1


def test_mulaw_is_g711_at_8_khz():
    tone = (0.25 * np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)).astype(np.float32)
    heard, _ = through_codec(tone, CodecSettings(share=1, kinds=["mulaw"]), random.Random(0))
    noise = (heard - tone)[800:-800]
    snr = 10 * np.log10(np.mean(tone**2) / np.mean(noise**2))
    assert 33 < snr < 45  # G.711 quantizes a sine of this level at some 38 dB
    high = (0.25 * np.sin(2 * np.pi * 6_000 * np.arange(16_000) / 16_000)).astype(np.float32)
    heard, _ = through_codec(high, CodecSettings(share=1, kinds=["mulaw"]), random.Random(0))
    assert np.abs(heard[800:-800]).max() < 0.01


def test_fewer_bits_preserve_less(speech):
    def distance(kbps: float) -> float:
        settings = CodecSettings(share=1, kinds=["opus"], opus_kbps={"low": kbps, "high": kbps})
        return float(np.mean((through_codec(speech, settings, random.Random(0))[0] - speech) ** 2))

    assert distance(8) > 2 * distance(16) > 2 * distance(48)


def test_the_bit_rate_is_the_one_requested_from_libsndfile(speech, monkeypatch):
    sizes = []
    write = soundfile.write

    def weigh(file, samples, *rest, **options):
        write(file, samples, *rest, **options)
        if isinstance(file, io.BytesIO):
            sizes.append(len(file.getvalue()) * 8 / (len(samples) / 16_000) / 1_000)

    monkeypatch.setattr(soundfile, "write", weigh)
    noise = np.random.default_rng(0).normal(0, 0.1, 64_000).astype(np.float32)
    for kbps in (16, 32):
        settings = CodecSettings(share=1, kinds=["opus"], opus_kbps={"low": kbps, "high": kbps})
        through_codec(noise, settings, random.Random(0))
    assert sizes == pytest.approx([16, 32], rel=0.25)


def test_it_is_reproducible_and_off_by_default(speech):
    settings = CodecSettings(share=1, kinds=["opus"])
    assert np.array_equal(
        through_codec(speech, settings, random.Random(3))[0], through_codec(speech, settings, random.Random(3))[0]
    )
    heard, codec = through_codec(speech, CodecSettings(), random.Random(3))
    assert heard is speech and codec is None
    assert {through_codec(speech[:1_600], CodecSettings(share=1), random.Random(i))[1].kind for i in range(12)} == {
        "opus", "mulaw"
    }  # fmt: skip
