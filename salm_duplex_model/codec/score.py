"""How well a codec keeps speech: STOI, PESQ and log-mel distance on sentences that training never saw."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch

from salm_duplex_model.codec.codec import Codec
from salm_duplex_model.codec.features import MelSpectrogram
from salm_duplex_model.codec.train import Speak

_PESQ_RATE = 16_000


def heldout_sentences() -> list[str]:
    """Fifty English sentences, never used in training."""
    return Path(__file__).with_name("heldout.txt").read_text(encoding="utf-8").splitlines()


def score_codec(codec: Codec, voices: Sequence[str], sentences: Sequence[str], speak: Speak) -> dict[str, Any]:
    """Each voice speaks each sentence; per voice the means over sentences, with their number.

    STOI: 0 to 1 (Taal et al., 2011). PESQ: wideband MOS-LQO, 1 to 4.64 (ITU-T P.862.2). `mel_distance`: mean absolute
    difference of natural-log mel magnitudes, 80 bands. Higher is better for the first two, lower for the third.
    """
    scores = {}
    for voice in voices:
        rows = [_score(codec, speak(sentence, voice)) for sentence in sentences]
        stoi, pesq, distance = np.mean(rows, axis=0).tolist()
        scores[voice] = {"n": len(rows), "stoi": stoi, "pesq": pesq, "mel_distance": distance}
    return {"voices": scores, "bits_per_second": codec.bits_per_second}


def _score(codec: Codec, samples: np.ndarray) -> tuple[float, float, float]:
    """STOI, PESQ and log-mel distance of one sentence (int16 samples), coded and decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both import what setuptools has deprecated
        from pesq import pesq  # of the extra [codec], as pystoi
        from pystoi import stoi

    frames = -(-len(samples) // codec.frame_samples) + 1
    # A frame of silence at both ends, as a turn has in a dialogue.
    original = np.zeros((frames + 1) * codec.frame_samples, np.float32)
    original[codec.frame_samples :][: len(samples)] = samples / np.float32(32768)
    audio = torch.from_numpy(original)[None]
    decoded = codec.decode(codec.encode(audio))
    mel = MelSpectrogram(codec.sample_rate, 1024, 256, 80)
    log_mels = [mel(sound).clamp(min=1e-5).log() for sound in (audio, decoded)]
    degraded = decoded[0].numpy()
    pair = [soxr.resample(sound, codec.sample_rate, _PESQ_RATE) for sound in (original, degraded)]
    return (
        float(stoi(original, degraded, codec.sample_rate)),
        float(pesq(_PESQ_RATE, *pair, "wb")),
        float((log_mels[0] - log_mels[1]).abs().mean()),
    )
