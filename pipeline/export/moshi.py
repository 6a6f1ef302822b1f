"""For moshi-finetune: stereo WAV, Moshi (the agent) left and the user right, and beside each file the words and their times.

What its loader reads (github.com/kyutai-labs/moshi-finetune, `finetune/data`, 2025-09): a JSONL list of
`{"path": relative to the list, "duration": seconds}`, and for `a.wav` an `a.json` with
`{"alignments": [[word, [start, end], speaker], …]}`, in order of the start, by which it searches. Its trainer lays out the
words of SPEAKER_MAIN and leaves the others. Files are written at the 24 kHz of Moshi's codec, so that a frame is 1 920 samples and
nothing is resampled while training.
"""

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
    """Every word that is heard for any time, in order of its start: its text, start and end in seconds, and who speaks.

    A word that a cut-off falls into is among them: its absence would tell of the interruption before it comes.
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
    """Moshi's loader leaves out a word of no length."""
    return word.start < word.end
