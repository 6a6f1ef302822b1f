"""Pages of the manifest are the same as when filtering all of it, for any files and row groups."""

from itertools import pairwise
from pathlib import Path

import pytest
from listing_material import table

from manifests.store import Store
from manifests.table import DIALOGUES, Table, write_table
from pipeline.browse.catalog import QUERIES_KEPT, Catalog
from pipeline.report.listing import Query


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """23 dialogues in two files with row groups of 4; every third has barge-ins, every fifth is in the test split."""
    monkeypatch.setattr("manifests.table.ROWS_TOGETHER", 4)
    rows = [
        {
            "id": f"d{n}",
            "barge_ins": int(n % 3 == 0),
            "split": "train" if n % 5 else "test",
            "shard": n // 2 if n != 7 else None,
        }
        for n in range(23)
    ]
    for name, part in (("a", rows[:10]), ("b", rows[10:])):
        write_table(tmp_path / f"{name}.parquet", table(*part).to_dict("records"), DIALOGUES)
    return Catalog(Table(Store(tmp_path), DIALOGUES))


@pytest.mark.parametrize(
    "query", [Query(), Query(event="barge_ins"), Query(event="barge_ins", split="test"), Query(text="d1")]
)
def test_pages_add_up_to_all_that_matches(catalog: Catalog, query: Query) -> None:
    whole = catalog.page(query, 0, 100)
    wanted = [
        n
        for n in range(23)
        if (not query.event or n % 3 == 0) and (not query.split or n % 5 == 0) and query.text in f"d{n}"
    ]
    assert [row.id for row in whole.rows] == [f"d{n}" for n in wanted]
    assert whole.total == len(wanted)
    for first, last in pairwise(range(0, len(wanted) + 5, 5)):
        page = catalog.page(query, first, 5)
        assert (page.rows, page.shards, page.total) == (whole.rows[first:last], whole.shards[first:last], whole.total)
    assert catalog.page(query, 1_000, 5).rows == ()


def test_a_dialogue_is_found_by_its_id(catalog: Catalog) -> None:
    assert catalog.place("d12")[["split", "shard"]].values.tolist() == [["train", 6]]
    assert len(catalog.place("nobody")) == 0
    assert catalog.page(Query(text="d7"), 0, 5).shards == (None,)


def test_few_queries_are_cached(catalog: Catalog) -> None:
    for n in range(2 * QUERIES_KEPT):
        catalog.page(Query(text=f"d{n}"), 0, 5)
    assert len(catalog._counts) == QUERIES_KEPT
