"""The estimated cost of a build, from a sample or from a run log."""

import pytest
from material import openai

from manifests.errors import RequestError
from manifests.progress import silent
from manifests.store import Store
from pipeline.building.dry_run import dry_run, shards_for
from pipeline.building.estimate import Rates, estimate_hours, estimate_plan, rates_of
from pipeline.building.plan import Plan, load_plan, make_plan
from pipeline.building.shard_cuts import PlannedShard
from pipeline.recipe import load_recipe
from stages.pack import PackSettings

RATES = Rates({"speak": 36.0, "synthesize": 324.0}, bytes_per_hour=7e7, dialogue_s=60, text_ratio=2.0, start_s=5)


def plan(*seconds: float) -> Plan:
    return Plan({}, tuple(PlannedShard("train", i, 10, s) for i, s in enumerate(seconds)), len(seconds) * 10, 0)


def test_an_estimate_counts_the_busiest_worker():
    # Three shards of half an hour by their text, which last twice as long; with two workers, one does two of them.
    found = estimate_plan(plan(1800, 1800, 1800), RATES, workers=2, overhead_s=10)
    assert found.hours == 3 and found.disk_bytes == pytest.approx(3 * 7e7)
    assert found.core_hours == pytest.approx(0.3)
    assert found.seconds == pytest.approx(10 + 5 + 2 * 360)


def test_hours_on_machines():
    found = estimate_hours(26_000, RATES, cores=100, efficiency=0.9)
    assert found.core_hours == pytest.approx(2_600)
    assert found.seconds == pytest.approx(2_600 / 90 * 3600)


def test_shards_end_at_their_number_of_dialogues_or_at_their_size():
    assert shards_for(10, 60, PackSettings(shard_size=50)) == 12
    assert shards_for(10, 60, PackSettings(shard_size=10_000, shard_mb=64)) == pytest.approx(
        10 * 3600 * 76_100 / 2**26, abs=1
    )


def test_a_corpus_without_a_run_log_is_rejected(small_corpus):
    with pytest.raises(RequestError, match="records no work"):
        rates_of(small_corpus)


def test_a_dry_run_measures_a_sample_and_leaves_nothing(tmp_path, write_jsonl):
    from material import openai

    lines = [
        openai(f"d{i}", f"What is the number {i} good for?", f"It comes after the number {i - 1}.") for i in range(30)
    ]
    found = dry_run([str(write_jsonl(*lines))], load_recipe(), 1, None, silent)
    assert sum(found.dialogues.values()) == 30 and found.rejected == 0
    assert 30 * 2 < found.estimate.hours * 3600 < 30 * 12
    assert 0 < found.estimate.core_hours < found.estimate.hours
    assert found.estimate.disk_bytes > 30 * 10_000
    assert [path.name for path in tmp_path.iterdir()] == ["dialogues.jsonl"]


def test_a_plan_keeps_the_counts_of_unused_contents(write_jsonl, tmp_path):
    records = [openai(f"d{n}", f"{n}?", "Yes.") | {"zoo": "x", "tools": ["f"]} for n in range(3)]
    records[0]["note"] = "x"
    store = Store(tmp_path / "corpus")
    made = make_plan([str(write_jsonl(*records))], load_recipe(), None, store, silent, lambda: None)
    assert list(made.not_used.items()) == [("tools", 3), ("zoo", 3), ("note", 1)]
    assert load_plan(store).not_used == made.not_used
