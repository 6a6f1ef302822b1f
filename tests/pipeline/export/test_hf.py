"""`datasets` loads the export by its card, with the corpus's audio sample for sample."""

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from huggingface_hub import DatasetCard

from manifests.corpus import Corpus
from manifests.store import Store
from pipeline.export import hf
from pipeline.export.dialogue import CorpusDialogue, read_dialogues
from pipeline.export.run import Shard, Written, export


@pytest.fixture(scope="module")
def exported(tmp_path_factory, small_corpus: Corpus) -> Path:
    out = tmp_path_factory.mktemp("export") / "hf"
    result = export(small_corpus, hf.HuggingFace(), Store(out))
    assert result["lost"] == {}
    return out


@pytest.fixture(scope="module")
def dialogues(small_corpus: Corpus) -> list[CorpusDialogue]:
    return list(read_dialogues(small_corpus, "train", 0, with_codes=True))


def heard(audio: dict) -> tuple[np.ndarray, int]:
    """The audio of an `Audio` value, decoded without torchcodec, which needs FFmpeg's libraries."""
    samples, rate = soundfile.read(io.BytesIO(audio["bytes"]), dtype="int16")
    return samples, rate


def undecoded(data):
    for column in ("user", "agent", "reference"):
        if column in data.features:
            assert isinstance(data.features[column], datasets.Audio)
            data = data.cast_column(column, datasets.Audio(decode=False))
    return data


def test_it_loads_and_plays_as_the_corpus(exported: Path, small_corpus: Corpus, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(exported), cache_dir=str(tmp_path))
    assert list(loaded) == ["train"]
    for row, cut in zip(undecoded(loaded["train"]), small_corpus.cuts("train"), strict=True):
        (user, user_rate), (agent, agent_rate) = heard(row["user"]), heard(row["agent"])
        assert (row["id"], user_rate, agent_rate) == (cut.id, 16_000, 22_050)
        assert np.array_equal(user, np.rint(cut.load_audio()[0] * 32_768))
        assert np.array_equal(agent, np.rint(cut.load_target_audio()[0] * 32_768))
        assert np.array_equal(row["codes"], cut.load_target_codes())
        assert [(t["start"], t["end"], t["text"]) for t in row["turns"]] == [
            (s.start, s.end, s.text) for s in cut.supervisions
        ]


def test_it_streams_with_every_label(exported: Path, dialogues: list[CorpusDialogue]) -> None:
    stream = undecoded(datasets.load_dataset(str(exported), split="train", streaming=True))
    for row, dialogue in zip(stream, dialogues, strict=True):
        assert row["turns"] == [
            asdict(turn) | {"words": [*map(asdict, turn.words)], "pauses": []} for turn in dialogue.turns
        ]
        assert json.loads(row["custom"]) == dialogue.custom
        assert (row["frames"], row["duration"], row["total_turns"]) == (dialogue.frames, dialogue.duration, 4)
    assert any(turn["cut_word"] for row in stream for turn in row["turns"])


def test_the_card_has_the_header_that_the_hub_reads(exported: Path) -> None:
    card = DatasetCard.load(exported / "README.md")
    assert card.data.configs == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}
    ]
    (split,) = card.data.dataset_info["splits"]
    assert (split["name"], split["num_examples"]) == ("train", 10)
    assert {"name": "user", "dtype": {"audio": {"sampling_rate": 16_000}}} in card.data.dataset_info["features"]
    assert card.data.license and card.data.language and "| barge-ins | 5 |" in card.text
    assert (exported / "corpus.json").is_file()


def test_rows_are_written_in_small_groups(
    dialogues: list[CorpusDialogue], exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the export nor a reader holds a whole shard in memory."""
    monkeypatch.setattr(hf, "GROUP_BYTES", 3 * len(dialogues[0].agent_audio))
    hf.HuggingFace().write(iter(dialogues), Shard("train", 0), Store(tmp_path), Written())
    small, one = (pq.ParquetFile(folder / "data" / "train-000000.parquet") for folder in (tmp_path, exported))
    assert small.num_row_groups > 2 and one.num_row_groups == 1
    assert small.read().equals(one.read())


def test_pauses_prompts_and_voice_references_are_kept(dialogues: list[CorpusDialogue], tmp_path: Path) -> None:
    first, *rest = dialogues[0].turns
    changed = replace(
        dialogues[0],
        turns=(replace(first, pauses=((1.0, 0.5),)), *rest),
        system_prompt="Be brief.",
        reference_audio=dialogues[1].agent_audio,
        custom={"noise": {"kind": "babble", "snr_db": 12.0}},
    )
    hf.HuggingFace().write(iter([changed]), Shard("test", 3), Store(tmp_path), Written())
    written = datasets.load_dataset("parquet", data_files=str(tmp_path / "data" / "*"), streaming=True)["train"]
    (row,) = undecoded(written)
    assert row["turns"][0]["pauses"] == [{"start": 1.0, "length": 0.5}]
    assert row["system_prompt"] == "Be brief." and json.loads(row["custom"]) == changed.custom
    samples, rate = heard(row["reference"])
    assert rate == 22_050 and np.array_equal(samples, dialogues[1].channel("agent", 22_050))


def test_a_whole_file_without_its_marker_is_left_and_counted(exported: Path, dialogues: list[CorpusDialogue]) -> None:
    """As a kill between the two leaves it."""
    file = exported / "data" / "train-000000.parquet"
    before, written = file.stat().st_mtime_ns, Written()
    hf.HuggingFace().write(iter(dialogues), Shard("train", 0), Store(exported), written)
    assert file.stat().st_mtime_ns == before
    assert [facts["rows"] for facts in written.index] == [10]


def test_at_a_url_it_is_the_same(exported: Path, small_corpus: Corpus, s3: str) -> None:
    """Except for the loading instructions, which do not apply to the hub's cards."""
    (use,) = export(small_corpus, hf.HuggingFace(), Store(f"{s3}/out"))["use"]
    assert use == f'datasets.load_dataset("parquet", data_files="{s3}/out/data/train-*.parquet")'
    loaded = datasets.load_dataset("parquet", data_files=f"{s3}/out/data/train-*.parquet", streaming=True)["train"]
    assert [row["id"] for row in undecoded(loaded)] == [cut.id for cut in small_corpus.cuts("train")]
    for name in ("README.md", "corpus.json", "data/train-000000.parquet"):
        assert Store(f"{s3}/out").read(name) == (exported / name).read_bytes()
