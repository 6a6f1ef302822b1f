import numpy as np
import pytest

from manifests import columns, table
from manifests.columns import dialogue_row
from manifests.figures import Column, Distribution, Number
from manifests.store import Store
from manifests.table import TableWriter, corpus_tables, write_rejected
from pipeline.report.card import card
from pipeline.report.page import report
from pipeline.report.statistics import corpus_statistics, quantiles, split_numbers


@pytest.fixture
def tables(tmp_path, rendered):
    """The ten dialogues as rows in three splits; the first three have two turns."""
    rows = [dialogue_row(record) | {"seed": 0, "recipe": "abc"} for record in rendered]
    for number, row in enumerate(rows):
        row["split"] = "test" if number % 5 == 0 else "train"
        row["turns"] = 2 if number < 3 else 4
    for folder in ("manifest", "rejected"):
        (tmp_path / folder).mkdir()
    with TableWriter(tmp_path / "manifest" / "d.parquet", table.DIALOGUES) as writer:
        writer.add_rows(rows)
    write_rejected(tmp_path / "rejected" / "r.parquet", [])
    return rows, *corpus_tables(Store(tmp_path))


def test_figures_are_those_of_the_rows(tables):
    rows, dialogues, rejected = tables
    made = corpus_statistics(dialogues, rejected, 12)
    assert (made["dialogues_read"], made["rejected"], made["rejected_by_reason"]) == (12, 0, {})
    assert made["dialogues"] == {"train": 8, "validation": 0, "test": 2}
    assert made["words"] == sum(row["user_words"] + row["agent_words"] for row in rows)
    assert made["hours"] == round(sum(row["duration_s"] for row in rows) / 3600, 4)
    assert made["user_voices"]["train"] == len({row["user_voice"] for row in rows if row["split"] == "train"})
    assert made["agent_voices"] == sorted({row["agent_voice"] for row in rows})
    long = [row for row in rows if row["turns"] >= 3]
    assert made["dialogues_of_three_turns_or_more"] == len(long) == 7
    assert made["share_of_those_with_barge_in"] == round(sum(row["barge_ins"] > 0 for row in long) / 7, 4)
    gaps = [gap for row in rows for gap in row["user_gaps_s"]]
    assert min(gaps) < 0
    assert made["user_gap_s"] == quantiles(np.array([gap for gap in gaps if gap >= 0]))
    assert made["agent_gap_s"]["n"] == sum(len(row["agent_gaps_s"]) for row in rows)
    assert made["least_heard"] is None


def test_figures_of_the_splits_add_up(tables):
    _, dialogues, rejected = tables
    made, parts = corpus_statistics(dialogues, rejected, 10), split_numbers(dialogues)
    for key in ("turns", "words", "barge_ins", "with_barge_in"):
        assert sum(part[key] for part in parts.values()) == made[key] > 0
    assert parts["validation"]["hours"] == 0
    assert parts["validation"]["share_of_those_with_barge_in"] is None


def test_quantiles_are_exact_and_missing_without_data():
    made = quantiles(np.arange(101))
    assert made == {"n": 101, "min": 0, "p10": 10, "median": 50, "mean": 50, "p90": 90, "max": 100}
    assert quantiles(np.array([])) is None


def test_a_new_figure_needs_one_entry(monkeypatch, tmp_path, rendered):
    """The table, the statistics, the card and the report then have it."""
    import corpus_material
    import pyarrow as pa

    count = Column(
        "commas", pa.int64(), lambda record: sum(t.text.count(",") for t in record.dialogue.turns), "",
        "How many commas were written.",
        (Number("commas", "commas in all", lambda rows: int(rows["commas"].sum()), in_splits=True),
         Distribution("commas_of_one", "commas of a dialogue", "event")),
    )  # fmt: skip
    more = (*columns.COLUMNS, count)
    for module in ("manifests.columns", "manifests.table", "pipeline.report.card"):
        monkeypatch.setattr(f"{module}.COLUMNS", more)
    schema = pa.schema([(column.name, column.type) for column in more])
    monkeypatch.setattr(table, "DIALOGUES", schema)
    corpus = corpus_material.make_corpus(tmp_path, rendered)
    total = sum(turn.text.count(",") for record in rendered for turn in record.dialogue.turns)
    assert corpus.info["statistics"]["commas"] == total > 0
    assert f"| commas in all | {total} |" in card(corpus)
    assert "How many commas were written." in card(corpus)
    page = report(corpus)
    assert f'data-stat="train.commas">{total}<' in page
    assert "<h3>Commas of a dialogue</h3>" in page
    assert 'data-stat="commas_of_one.median">' in page
