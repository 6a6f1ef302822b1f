"""A worker's part: what happens to a dialogue on which a stage raises, and to one on which it hangs."""

import multiprocessing
from pathlib import Path

import pytest
from material import make_dialogue

from manifests.errors import WorkError
from manifests.records import Dialogue
from manifests.store import Store
from pipeline.building.parcel import Parcel, from_table, to_table
from pipeline.building.work import FAILED, HUNG, HUNG_EXIT, Chain
from pipeline.recipe import StageSpec
from stages.base import Resources, Settings, Stage


class Picky(Stage[Dialogue, Dialogue, Settings]):
    """Raises on the dialogue d3, hangs on h1, and passes all others."""

    def process(self, records):
        for record in records:
            if record.id == "d3":
                raise RuntimeError("three is too much")
            while record.id == "h1":
                pass
        return list(records)


class Forgetful(Stage[Dialogue, Dialogue, Settings]):
    def process(self, records):
        return list(records)[1:]


class Helpless(Stage[Dialogue, Dialogue, Settings]):
    def setup(self):
        raise OSError("no such model")

    def process(self, records):
        return list(records)


class Cut(Stage[Dialogue, Dialogue, Settings]):
    def process(self, records):
        raise WorkError("The speech server does not answer; start it.")


def chain(*stages: type, store: Store | None = None, timeout_s: float = 600) -> Chain:
    resources = Resources(timeout_s=timeout_s)
    specs = [StageSpec(s.__name__.lower(), f"{__name__}:{s.__name__}", Settings(), resources) for s in stages]
    return Chain(specs, 0, store)


def parcel(*ids: str) -> Parcel:
    return Parcel("train-000000", [make_dialogue(id) for id in ids])


def test_a_dialogue_on_which_a_stage_raises_is_the_only_one_rejected_with_its_traceback():
    done = chain(Picky).run(parcel("d1", "d2", "d3", "d4"))
    assert done.failure is None
    assert [record.id for record in done.records] == ["d1", "d2", "d4"]
    (rejected,) = done.rejected
    assert (rejected.id, rejected.stage, rejected.reason) == ("d3", "picky", FAILED)
    assert "three is too much" in rejected.message
    assert "Traceback" in rejected.traceback and "three is too much" in rejected.traceback


def test_a_stage_that_returns_too_little_loses_its_dialogues_by_name_and_not_silently():
    done = chain(Forgetful).run(parcel("d1", "d2"))
    assert done.records == []
    assert [(r.id, r.reason) for r in done.rejected] == [("d1", FAILED), ("d2", FAILED)]


def test_a_set_up_that_raises_is_reported_of_as_one():
    done = chain(Picky, Helpless).run(parcel("d1"))
    assert done.failure and done.failure.stage == "helpless"
    assert done.failure.reason == "setup failed: OSError: no such model"
    assert done.records == [] and done.rejected == []


def test_an_error_not_caused_by_a_dialogue_fails_the_shard():
    done = chain(Cut).run(parcel("d1", "d2"))
    assert done.failure and done.failure.reason == "The speech server does not answer; start it."


def attempt(folder: Path) -> None:
    done = chain(Picky, store=Store(folder), timeout_s=0.5).run(parcel("d1", "h1", "d2"))
    (folder / "result").write_text(",".join([*(r.id for r in done.records), *(r.message for r in done.rejected)]))


def test_a_dialogue_on_which_a_stage_hangs_is_found_and_rejected_by_the_attempts_after(tmp_path):
    context = multiprocessing.get_context("fork")
    codes = []
    for _ in range(3):
        process = context.Process(target=attempt, args=(tmp_path,))
        process.start()
        process.join(60)
        codes.append(process.exitcode)
    assert codes == [HUNG_EXIT, HUNG_EXIT, 0]  # the shard, the dialogue by itself, the rest
    assert Store(tmp_path).names(f"{HUNG}/train-000000") == ["picky", "picky@h1"]
    assert (tmp_path / "result").read_text() == "d1,d2,The stage 'picky' did not finish within 0.5 s."


def test_a_parcel_travels_as_a_table(rendered):
    sent = Parcel("train-000007", list(rendered[:3]), made_by={"render": {"device": "cpu"}}, seconds={"render": 0.5})
    received = from_table(to_table(sent))
    assert (received.shard, received.made_by, received.seconds) == (sent.shard, sent.made_by, sent.seconds)
    for one, other in zip(sent.records, received.records, strict=True):
        assert one.timeline.segments == other.timeline.segments
        assert (one.user == other.user).all() and (one.agent == other.agent).all()
        assert all((a == b).all() for a, b in zip(one.uncut, other.uncut, strict=True))


@pytest.mark.parametrize("made", ["rejected", "failure"])
def test_a_parcel_keeps_its_error(made):
    sent = chain(Picky if made == "rejected" else Helpless).run(parcel("d3"))
    received = from_table(to_table(sent))
    assert (received.rejected, received.failure) == (sent.rejected, sent.failure)
    assert received.rejected or received.failure
