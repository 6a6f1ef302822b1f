"""A label set by a custom stage: in the shard, the table, the statistics, the card and the report."""

import copy
import gzip
import json
import pickle
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from corpus_material import make_corpus
from lhotse import CutSet
from material import make_dialogue

from manifests.records import Dialogue, DuplexDialogue, Timeline, TokenizedDialogue, dialogue_of
from manifests.shards import write_shard
from pipeline.building.parcel import Parcel, from_table, to_table
from pipeline.building.work import FAILED, Chain
from pipeline.recipe import StageSpec
from pipeline.report.card import card
from pipeline.report.inspection import inspect_text
from pipeline.report.page import report
from salm_duplex_model.batch import collate
from salm_duplex_model.tokenizer import BUNDLED, TextTokenizer
from stages.base import Resources, Settings, Stage, labeled
from stages.render import Render, RenderSettings


class Mood(Stage[Dialogue, Dialogue, Settings]):
    """Labels a dialogue by its id."""

    def process(self, records):
        number = {record.id: int(record.id[1:]) for record in records}
        return [labeled(record, calm=number[record.id] % 2 == 0, score=number[record.id] / 4) for record in records]


class Wrong(Stage[Dialogue, Dialogue, Settings]):
    def process(self, records):
        return [labeled(record, mood=["calm"]) for record in records]


def run(stage: type[Stage], *dialogues: Dialogue) -> Parcel:
    spec = StageSpec(stage.__name__.lower(), f"{__name__}:{stage.__name__}", Settings(), Resources())
    return Chain([spec], 0, None).run(Parcel("train-000000", list(dialogues)))


def coded(record: DuplexDialogue) -> TokenizedDialogue:
    return TokenizedDialogue.of(record, np.zeros((record.timeline.frames, 4), dtype=np.int16))


def with_dialogue(timeline: Timeline, dialogue: Dialogue) -> Timeline:
    return replace(timeline, spoken=replace(timeline.spoken, dialogue=dialogue))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, timelines):
    """Four dialogues, labeled before they are spoken, and one without labels."""
    dialogues = run(Mood, *(timeline.spoken.dialogue for timeline in timelines[:4])).records
    before = [with_dialogue(*pair) for pair in zip(timelines[:4], dialogues, strict=True)]
    rendered = Render(RenderSettings(), 0).process([*before, timelines[4]])
    return make_corpus(tmp_path_factory.mktemp("labeled"), [coded(record) for record in rendered])


def test_the_labels_of_a_custom_stage_are_in_cuts_and_table(corpus):
    cuts = list(CutSet.from_shar(in_dir=corpus.store.at("train")))
    expected = [{"calm": n % 2 == 0, "score": n / 4} for n in range(4)]
    assert [cut.custom.get("labels") for cut in cuts] == [*expected, None]
    rows = corpus.dialogues.read("labels")["labels"]
    assert [json.loads(text) for text in rows.dropna()] == expected and len(rows) == 5
    assert "label calm: true\nlabel score: 0.0" in inspect_text(cuts[0])


def test_labels_are_counted_in_statistics_card_and_report(corpus):
    counted = corpus.info["statistics"]["labels"]
    assert counted == {
        "calm": {"dialogues": 4, "values": {"false": 2, "true": 2}},
        "score": {"dialogues": 4, "min": 0.0, "mean": 0.375, "max": 0.75},
    }
    assert json.loads(json.dumps(counted)) == counted
    assert "| dialogues with the label `calm` | 4 | `false: 2, true: 2` |" in card(corpus)
    page = report(corpus)
    assert 'data-stat="labels.score">4</td><td>mean 0.375 (0 to 0.75)</td>' in page
    assert '<option value="&#34;calm&#34;: true">calm: true</option>' in page
    assert '<span class="chip">calm: false</span>' in page


@pytest.fixture(scope="module")
def folders(tmp_path_factory, rendered):
    """The same two dialogues without labels, and with a label on the second."""
    first, second = map(coded, rendered[:2])
    plain, changed = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("changed")
    write_shard(plain, 0, [first, second], {})
    write_shard(changed, 0, [first, labeled(second, calm=True)], {})
    return plain, changed


def test_only_the_cut_of_a_labeled_dialogue_has_other_bytes(folders):
    plain, changed = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    cuts = "cuts.000000.jsonl.gz"
    (first, second), (same, other) = (gzip.decompress(files.pop(cuts)).splitlines() for files in (plain, changed))
    assert plain == changed and first == same and b"labels" not in first + second
    described = json.loads(other)
    assert described["custom"].pop("labels") == {"calm": True}
    assert described == json.loads(second)


def test_training_reads_the_same_batch_with_labels(folders):
    tokenizer = TextTokenizer.load(BUNDLED)
    one, other = (collate(list(CutSet.from_shar(in_dir=folder)), tokenizer) for folder in folders)
    assert all(torch.equal(getattr(one, part), getattr(other, part)) for part in ("audio", "text", "codes", "frames"))


def test_every_record_can_be_labeled_and_passed_between_pools(timelines, rendered):
    timeline, record = timelines[0], rendered[0]
    for one in (timeline.spoken.dialogue, timeline.spoken, timeline, record, coded(record)):
        twice = labeled(labeled(one, a=1, b="x"), a=0.5)
        assert type(twice) is type(one)
        (received,) = from_table(to_table(Parcel("train-000000", [twice]))).records
        assert dialogue_of(received).labels == {"a": 0.5, "b": "x"}
    assert timeline.spoken.dialogue.labels == {}


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("mood", None, TypeError, "The label 'mood' is a NoneType; it must be a bool, int, float or str."),
        ("mood", np.int64(3), TypeError, "The label 'mood' is a int64; it must be a bool, int, float or str."),
        ("mood", float("nan"), ValueError, "The label 'mood' is nan; it must be finite."),
        ("mood", 2**63, ValueError, "The label 'mood' exceeds 64 bits."),
        ("my mood", 1, ValueError, "The label 'my mood' is not an identifier; use letters, digits and underscores."),
        ("width", 1, ValueError, "The label 'width' would be misread by Lhotse; choose another name."),
    ],
)
def test_a_wrong_label_is_rejected_naming_it(name, value, error, message):
    with pytest.raises(error) as raised:
        labeled(make_dialogue("d0"), **{name: value})
    assert str(raised.value) == message
    with pytest.raises(error):
        replace(make_dialogue("d0"), labels={name: value})


def test_a_stage_with_a_wrong_label_loses_its_dialogue_by_name():
    (lost,) = run(Wrong, make_dialogue("d0")).rejected
    assert (lost.id, lost.reason) == ("d0", FAILED)
    assert lost.message == (
        "The stage 'wrong' raised TypeError: The label 'mood' is a list; it must be a bool, int, float or str."
    )


def test_labels_cannot_be_changed_in_place_but_copied():
    dialogue = labeled(make_dialogue("d0"), calm=True, loss=np.float64(0.5))
    for change in (
        lambda labels: labels.update(calm=False),
        lambda labels: labels.pop("calm"),
        lambda labels: labels.__setitem__("calm", False),
        lambda labels: labels.__ior__({"calm": False}),
    ):
        with pytest.raises(TypeError, match="can't be changed in place"):
            change(dialogue.labels)
    assert type(dialogue.labels["loss"]) is float
    assert pickle.loads(pickle.dumps(dialogue)) == copy.deepcopy(dialogue) == dialogue
    assert asdict(dialogue)["labels"] == {"calm": True, "loss": 0.5}
