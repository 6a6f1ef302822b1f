"""For Hugging Face: Parquet with `Audio` features, and a dataset card that `datasets` and the hub's viewer understand.

Nothing is decoded or re-encoded: an `Audio` column contains the files of the corpus's own shards. A shard becomes a
Parquet file, in row groups small enough for the viewer (`datasets` 5.2 aims at 100 MB;
https://hf.co/docs/hub/datasets-viewer)."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Audio, DatasetInfo, Features, List, SplitDict, SplitInfo, Value
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from manifests.corpus import Corpus
from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.store import Store
from pipeline.export.dialogue import EVERYTHING, CorpusDialogue, CorpusTurn
from pipeline.export.run import Format, Shard, Written, read_written
from pipeline.report.card import compose_card

FOLDER = "data"
GROUP_BYTES = 32 * 2**20
"""Audio bytes per row group: what the writer holds in memory, and what a reader loads to show a row."""

_WORD = {"text": Value("string"), "start": Value("float64"), "end": Value("float64")}
_TURN = {
    "speaker": Value("string"),
    "start": Value("float64"),
    "end": Value("float64"),
    "event": Value("string"),
    "cut_off": Value("bool"),
    **{
        name: Value("string")
        for name in ("text", "text_heard", "text_full", "text_written", "voice", "speech", "word_times")
    },
    "words": List(_WORD),
    "cut_word": _WORD,
    "pauses": List({"start": Value("float64"), "length": Value("float64")}),
}


def features(with_reference: bool) -> Features:
    """The columns; one row per dialogue."""
    return Features(
        {
            "id": Value("string"),
            "user": Audio(sampling_rate=SOURCE_RATE),
            "agent": Audio(sampling_rate=TARGET_RATE),
            **({"reference": Audio(sampling_rate=TARGET_RATE)} if with_reference else {}),
            "duration": Value("float64"),
            "frames": Value("int32"),
            "total_turns": Value("int32"),
            "system_prompt": Value("string"),
            "turns": List(_TURN),
            "codes": List(List(Value("int16"))),
            "custom": Value("string"),
        }
    )


class HuggingFace(Format):
    name = "hf"
    carries = EVERYTHING
    with_codes = True

    def write(self, dialogues: Iterator[CorpusDialogue], shard: Shard, out: Store, written: Written) -> None:
        name = f"{shard.split}-{shard.number:06d}.parquet"
        if name in out.names(FOLDER):
            for _ in dialogues:  # counted
                pass
            with out.open(f"{FOLDER}/{name}") as file:
                written.index.append(_facts(pq.ParquetFile(file)))
            return
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / name
            _write_table(part, dialogues)
            with pq.ParquetFile(part) as file:
                written.index.append(_facts(file) | {"size": part.stat().st_size})
            out.put(part, f"{FOLDER}/{name}")

    def finish(self, corpus: Corpus, shards: list[Shard], out: Store) -> list[str]:
        out.write(
            "corpus.json", corpus.store.read("corpus.json")
        )  # the recipe and the figures, which the card refers to
        out.write("README.md", _card(corpus, shards, out).encode())
        if not out.is_local:
            return [f'datasets.load_dataset("parquet", data_files="{out}/{FOLDER}/train-*.parquet")']
        return [f'datasets.load_dataset("{out}")', f"hf upload USER/NAME {out} --repo-type=dataset"]


def _write_table(path: Path, dialogues: Iterator[CorpusDialogue]) -> None:
    first = next(dialogues, None)
    # Either all dialogues of a corpus have a reference, or none does.
    schema = features(first is not None and first.reference_audio is not None).arrow_schema
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False, write_page_index=True) as file:
        group: list[dict[str, Any]] = []
        held = 0
        for dialogue in chain([first] if first else [], dialogues):
            group.append(_row(dialogue))
            held += len(dialogue.user_audio) + len(dialogue.agent_audio)
            if held >= GROUP_BYTES:
                file.write_table(pa.Table.from_pylist(group, schema=schema))
                group, held = [], 0
        if group:
            file.write_table(pa.Table.from_pylist(group, schema=schema))


def _row(dialogue: CorpusDialogue) -> dict[str, Any]:
    reference = dialogue.reference_audio
    return {
        "id": dialogue.id,
        "user": _audio(dialogue.user_audio, f"{dialogue.file_name}-user"),
        "agent": _audio(dialogue.agent_audio, f"{dialogue.file_name}-agent"),
        "reference": None if reference is None else _audio(reference, f"{dialogue.file_name}-reference"),
        "duration": dialogue.duration,
        "frames": dialogue.frames,
        "total_turns": dialogue.total_turns,
        "system_prompt": dialogue.system_prompt,
        "turns": [_turn(turn) for turn in dialogue.turns],
        "codes": None if dialogue.codes is None else dialogue.codes.tolist(),
        "custom": json.dumps(dialogue.custom, ensure_ascii=False, sort_keys=True),
    }


def _turn(turn: CorpusTurn) -> dict[str, Any]:
    return asdict(turn) | {"pauses": [{"start": start, "length": length} for start, length in turn.pauses]}


def _audio(content: bytes, name: str) -> dict[str, Any]:
    return {"bytes": content, "path": f"{name}.{'flac' if content.startswith(b'fLaC') else 'wav'}"}


def _facts(file: pq.ParquetFile) -> dict[str, Any]:
    """The card's figures for a Parquet file, from its footer."""
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    return {
        "rows": file.metadata.num_rows,
        "bytes": sum(group.total_byte_size for group in groups),
        "with_reference": "reference" in file.schema_arrow.names,
    }


def _card(corpus: Corpus, shards: list[Shard], out: Store) -> str:
    """The corpus's own card, with a header that gives `datasets` each split's files and the column types."""
    splits: dict[str, SplitInfo] = {}
    with_reference = False
    for shard in shards:
        one = splits.setdefault(shard.split, SplitInfo(shard.split, num_bytes=0, num_examples=0))
        for facts in read_written(out, shard).index:
            one.num_bytes += facts["bytes"]
            one.num_examples += facts["rows"]
            with_reference |= facts["with_reference"]
    header = DatasetCardData()
    info = DatasetInfo(features=features(with_reference), splits=SplitDict(splits))
    DatasetInfosDict({"default": info}).to_dataset_card_data(header)
    files = [{"split": split, "path": f"{FOLDER}/{split}-*.parquet"} for split in splits]
    MetadataConfigs({"default": {"data_files": files}}).to_dataset_card_data(header)
    return compose_card(corpus, header.to_dict(), _FORMAT)


_FORMAT = """\
## Format

One row per dialogue, and one Parquet file per shard of the corpus:

```python
from datasets import load_dataset

for row in load_dataset("USER/NAME", split="train", streaming=True):
    user, agent = row["user"].get_all_samples(), row["agent"].get_all_samples()  # 16 000 Hz and 22 050 Hz
    turns = [(turn["start"], turn["speaker"], turn["text_heard"], turn["event"]) for turn in row["turns"]]
```

* `user` and `agent`: the two channels, lossless, both with the same whole number of 80 ms `frames`; `reference`, if the corpus has it: the
  agent's voice speaking another text;
* `turns`, ordered by start: `speaker` (user or agent), `start` and `end` in seconds, `event` (turn, barge_in, backchannel, false_start or
  side_talk), `cut_off`, `text` as laid out at one token per frame, `text_heard` (the words heard completely), `text_full` (including what a cut-off
  removed), `text_written` (as in the input), `words` with their times, `cut_word` (the word that is cut off, with the times of its
  audible part), `pauses`, `voice`, `speech` (synthesis or recording) and `word_times` (how the words' times were found);
* `codes`: the codec's codes of the agent's channel, frames × 4;
* `system_prompt`, `total_turns`, and `custom`: as JSON, the dialogue's origin, its labels and the sound on the user's channel.

The agent's channels never reveal what the user will do: the `text` of a cut-off turn is its whole text, not only what is heard.
No two splits share a dialogue or a user's voice."""
