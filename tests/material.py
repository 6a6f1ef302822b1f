"""Hand-made dialogues for tests, written and spoken."""

import itertools
from types import SimpleNamespace

import numpy as np

from manifests.records import Dialogue, Rejected, Speech, SpokenDialogue, Turn, Word
from stages.ingest import IngestSettings, ingest

LINES = (
    "Hello, could you tell me how to get to the station?",
    "Of course. Leave the square on the north side, follow the river for about ten minutes, and then cross the old bridge.",
    "Wait, which bridge do you mean?",
    "The stone one, right after the market hall. From there you can already see the clock tower of the station.",
)


def make_dialogue(id: str = "one", lines: tuple[str, ...] = LINES, split: str = "train") -> Dialogue:
    turns = tuple(Turn("user" if i % 2 == 0 else "agent", line) for i, line in enumerate(lines))
    return Dialogue(id, turns, source=f"{id}.jsonl:1", split=split)


def noise_speech(seconds: float, words: int, rate: int = 22_050) -> Speech:
    """Noise in place of a voice, for tests of timing alone: words of equal length."""
    samples = (np.random.default_rng(words).uniform(-0.3, 0.3, round(seconds * rate)) * 32767).astype(np.int16)
    edges = np.linspace(0, len(samples), words + 1).astype(int)
    spans = itertools.pairwise(edges)
    return Speech(samples, rate, tuple(Word(f"w{i}", int(a), int(b)) for i, (a, b) in enumerate(spans)))


def spoken_noise(*turns: tuple[str, float, int], id: str = "noise") -> SpokenDialogue:
    """A spoken dialogue of noise: (speaker, seconds, words) for each turn."""
    speech = tuple(noise_speech(seconds, words) for _, seconds, words in turns)
    texts = [" ".join(word.text for word in s.words) for s in speech]
    made = tuple(
        Turn(speaker, text, spoken=text, voice=f"{speaker}-voice")  # type: ignore[arg-type]
        for (speaker, _, _), text in zip(turns, texts, strict=True)
    )
    return SpokenDialogue(Dialogue(id, made, source="noise:1", split="train"), speech)


def ingested(inputs: list, settings: IngestSettings, seed: int = 0, limit: int | None = None) -> SimpleNamespace:
    """The complete result of an ingestion: its dialogues, its rejected records, and its final counts."""
    ingestion = ingest([str(name) for name in inputs], settings, seed, limit)
    results = list(ingestion)
    return SimpleNamespace(
        dialogues=[result for result in results if isinstance(result, Dialogue)],
        rejected=[result for result in results if isinstance(result, Rejected)],
        fingerprints=ingestion.fingerprints,
        read=ingestion.read,
    )


def openai(id: str, *lines: str) -> dict:
    roles = ("user", "assistant")
    return {"id": id, "messages": [{"role": roles[i % 2], "content": line} for i, line in enumerate(lines or LINES)]}


SMALL_RUN = {
    "model": {
        "encoder": {"kind": "causal", "mels": 32, "channels": 32, "hop_blocks": 1, "width": 64, "frame_blocks": 1},
        "llm": {"hidden_size": 64, "layers": 2, "heads": 2, "intermediate_size": 128},
        "tie_codes": True,
    },
    "data": {"batch_seconds": 30, "buckets": 2, "loaders": 1},
    "optimizer": {"steps": 12, "learning_rate": 0.003, "warmup_steps": 2},
    "validate_every": 6,
    "checkpoint_every": 4,
}

"""A training configuration for tests of the trainer itself."""
