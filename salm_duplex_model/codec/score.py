"""The quality of a codec: STOI, PESQ and log-mel distance on sentences unseen in training."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr
import torch

from manifests.frames import TARGET_RATE
from manifests.pcm import to_float
from salm_duplex_model.codec.features import MelSpectrogram
from salm_duplex_model.codec.nemo import AnyCodec
from salm_duplex_model.codec.train import Speak

_PESQ_RATE = 16_000


def heldout_sentences() -> list[str]:
    """Fifty English sentences, never used in training."""
    return Path(__file__).with_name("heldout.txt").read_text(encoding="utf-8").splitlines()


def score_voice(codec: AnyCodec, voice: str, sentences: Sequence[str], speak: Speak) -> dict[str, float]:
    """`score_speech` of a voice that speaks each sentence."""
    return score_speech(codec, [speak(sentence, voice) for sentence in sentences])


def score_speech(codec: AnyCodec, utterances: Sequence[np.ndarray]) -> dict[str, float]:
    """Means over utterances (int16 at 22 050 Hz, each longer than a second), with their number.

    STOI: 0 to 1 (Taal et al., 2011). PESQ: wideband MOS-LQO, 1 to 4.64 (ITU-T P.862.2), without
    utterances in which it finds no speech.
    `mel_distance`: mean absolute difference of natural-log mel magnitudes, 80 bands. Higher is better for the first
    two, lower for the third.
    """
    rows = [_score(codec, samples) for samples in utterances]
    stoi, distance, pesq = np.nanmean(rows, axis=0).tolist()
    return {"n": len(rows), "stoi": stoi, "pesq": pesq, "mel_distance": distance}


def _score(codec: AnyCodec, samples: np.ndarray) -> tuple[float, float, float]:
    """STOI, log-mel distance and PESQ of one utterance (int16 samples), encoded and decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports a deprecated part of setuptools
        from pesq import NoUtterancesError, pesq  # from the extra [codec]

    original, decoded = _coded(codec, samples)
    pair = [soxr.resample(sound, codec.sample_rate, _PESQ_RATE) for sound in (original, decoded)]
    try:
        quality = float(pesq(_PESQ_RATE, *pair, "wb"))
    except NoUtterancesError:
        quality = float("nan")
    return (*_stoi_and_distance(original, decoded), quality)


def _coded(codec: AnyCodec, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Int16 samples as float32, and the same encoded and decoded; padded with silence, like a turn in a dialogue."""
    frames = -(-len(samples) // codec.frame_samples)
    margin = codec.reach * codec.frame_samples
    original = np.zeros(frames * codec.frame_samples + 2 * margin, np.float32)
    original[margin:][: len(samples)] = to_float(samples)
    decoded = codec.decode(codec.encode(torch.from_numpy(original)[None]))[0].numpy()
    # One frame of the silence is enough to evaluate it.
    kept = slice(margin - codec.frame_samples, len(original) - margin + codec.frame_samples)
    return original[kept], decoded[kept]


def _stoi_and_distance(original: np.ndarray, decoded: np.ndarray) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        from pystoi import stoi  # from the extra [codec]

    mel = MelSpectrogram(TARGET_RATE, 1024, 256, 80)
    log_mels = [mel(torch.from_numpy(sound)[None]).clamp(min=1e-5).log() for sound in (original, decoded)]
    return float(stoi(original, decoded, TARGET_RATE)), float((log_mels[0] - log_mels[1]).abs().mean())
