"""For moshi-finetune: stereo WAV, Moshi (the agent) left and the user right, with the words and their times next to
each file.

What its loader reads (github.com/kyutai-labs/moshi-finetune, `finetune/data`, 2025-09): a JSONL list of `{"path":
relative to the list, "duration": seconds}`, and for `a.wav` an `a.json` with `{"alignments": [[word, [start, end],
speaker], …]}`, sorted by start, since it searches by it. Its trainer lays out the words of SPEAKER_MAIN and ignores
the others. Files are written at the 24 kHz of Moshi's codec, so a frame is 1 920 samples and nothing is resampled
during training."""

import json
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from manifests.corpus import Corpus
from manifests.store import Store
from pipeline.export.dialogue import CorpusDialogue, CorpusWord
from pipeline.export.run import Format, Shard, Written, read_written, write_absent

RATE = 24_000
SPEAKERS = {"agent": "SPEAKER_MAIN", "user": "SPEAKER_USER"}
SILENT_WORDS = "words cut off as they begin"


class Moshi(Format):
    name = "moshi"
    carries = frozenset({"words"})

    def write(self, dialogues: Iterator[CorpusDialogue], shard: Shard, out: Store, written: Written) -> None:
        there = set(out.names(shard.name))
        for dialogue in dialogues:
            name = dialogue.file_name
            write = partial(write_absent, out, shard, there)
            write(f"{name}.wav", partial(dialogue.stereo_wav, "agent", "user", RATE))
            write(f"{name}.json", partial(_words, dialogue))
            begun = [word for turn in dialogue.turns for word in turn.words_begun]
            written.lost.update({SILENT_WORDS: sum(not _lasts(word) for word in begun)})
            written.index.append({"path": f"{shard.name}/{name}.wav", "duration": dialogue.duration})

    def finish(self, corpus: Corpus, shards: list[Shard], out: Store) -> list[str]:
        splits = list(dict.fromkeys(shard.split for shard in shards))
        with tempfile.TemporaryDirectory() as folder:
            for split in splits:
                part = Path(folder) / split
                with part.open("w", encoding="utf-8") as file:
                    for shard in shards:
                        rows = read_written(out, shard).index if shard.split == split else []
                        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                out.put(part, f"{split}.jsonl")
        keys = {"train": "data.train_data", "validation": "data.eval_data"}
        return [f"{keys[split]}: {out.at(split)}.jsonl" for split in splits if split in keys]


def alignments(dialogue: CorpusDialogue) -> list[tuple[str, tuple[float, float], str]]:
    """Every word that is heard at all, sorted by start: its text, start and end in seconds, and the speaker.

    This includes a word that is cut off: leaving it out would reveal the interruption in advance.
    """
    words = [
        (word.text, (word.start, word.end), SPEAKERS[turn.speaker])
        for turn in dialogue.turns
        for word in turn.words_begun
        if _lasts(word)
    ]
    return sorted(words, key=lambda word: word[1])


def _words(dialogue: CorpusDialogue) -> bytes:
    return json.dumps({"alignments": alignments(dialogue)}, ensure_ascii=False).encode()


def _lasts(word: CorpusWord) -> bool:
    """Moshi's loader drops words of zero length."""
    return word.start < word.end
