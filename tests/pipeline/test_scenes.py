"""Scenes: each contains its behavior, in dialogues and voices that training never hears."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from build_without_ray import without_ray
from corpus_material import rows_of

from manifests.corpus import open_corpus
from manifests.errors import RequestError
from pipeline.building.driver import build
from pipeline.commands.options import SHIPPED
from pipeline.recipe import load_recipe, recipe_from
from pipeline.scenes import SCENES, make_scenes, scene_recipe
from stages.sound.path import SoundSettings

BUNDLED = Path(__file__).parents[2] / "pipeline" / "data" / "dialogues.jsonl"
CHOSEN = ("impatient", "repeated_interruption", "pauses", "backchannels", "noise", "monologue")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    out = tmp_path_factory.mktemp("scenes") / "corpus"
    with without_ray():
        build([str(BUNDLED)], out, load_recipe(overrides=["ingest.test=0.6", "ingest.takes=2"]), limit=6)
    return open_corpus(out)


@pytest.fixture(scope="module")
def scenes(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("scenes") / "scenes"
    with without_ray():
        assert list(make_scenes(corpus, out, CHOSEN, 2, None, None)) == list(CHOSEN)
    return {name: open_corpus(out / name) for name in CHOSEN}


def test_a_scene_of_a_corpus_in_the_wild_has_only_its_own_sound():
    recipe = load_recipe(SHIPPED / "in_the_wild.yaml").as_dict()
    wild = SimpleNamespace(info={"identity": {"recipe": recipe}}, url="wild")
    for name in SCENES:
        render = recipe_from(scene_recipe(wild, name, 1)).stage("render").settings
        sounding = {effect for effect in SoundSettings.model_fields if getattr(render, effect).share}
        assert sounding == ({"noise"} if name == "noise" else set())
        assert render.user_level_dbfs_low == -36


def test_a_scene_of_a_directed_corpus_has_no_director():
    recipe = load_recipe(SHIPPED / "directed.yaml").as_dict()
    directed = SimpleNamespace(info={"identity": {"recipe": recipe}}, url="directed")
    assert "director" in [spec.name for spec in recipe_from(recipe).stages]
    for name in SCENES:
        assert "director" not in [spec.name for spec in recipe_from(scene_recipe(directed, name, 1)).stages]


def test_scenes_have_the_test_dialogues_in_voices_of_the_test(corpus, scenes):
    words = {split: {cut.supervisions[0].text for cut in corpus.cuts(split)} for split in ("train", "test")}
    heard = {row["user_voice"] for row in rows_of(corpus.dialogues) if row["split"] != "test"}
    for name, scene in scenes.items():
        assert scene.splits == ["test"]
        assert len(scene.dialogues) == 3 * 2
        assert not heard & {row["user_voice"] for row in rows_of(scene.dialogues)}
        if name != "monologue":
            first = {cut.supervisions[0].text for cut in scene.cuts("test")}
            assert first <= words["test"]
            assert not first & words["train"]


def test_each_scene_has_only_its_behavior(scenes):
    counts = {
        name: {
            key: sum(row[key] for row in rows_of(scene.dialogues)) for key in ("barge_ins", "pauses", "backchannels")
        }
        for name, scene in scenes.items()
    }
    assert all(row["pauses"] for row in rows_of(scenes["pauses"].dialogues))
    assert counts["pauses"]["barge_ins"] == counts["pauses"]["backchannels"] == 0
    assert counts["backchannels"]["backchannels"] >= 4
    assert counts["backchannels"]["barge_ins"] == counts["backchannels"]["pauses"] == 0
    assert counts["repeated_interruption"]["barge_ins"] > counts["impatient"]["barge_ins"] > 0
    assert all(row["noise"] for row in rows_of(scenes["noise"].dialogues))
    assert not any(
        row["noise"] for name, scene in scenes.items() if name != "noise" for row in rows_of(scene.dialogues)
    )


def test_a_wait_is_long_an_impatient_user_waits_half_and_a_monologue_is_one_turn(corpus, scenes):
    assert all(10 <= cut.supervisions[0].start <= 15.1 for cut in scenes["noise"].cuts("test"))
    gaps = [gap for row in rows_of(scenes["impatient"].dialogues) for gap in row["user_gaps_s"] if gap >= 0]
    assert gaps
    assert max(gaps) <= 0.6 + 0.01
    whole = {cut.id: cut for cut in corpus.cuts("test")}
    for cut in scenes["monologue"].cuts("test"):
        assert [s.speaker for s in cut.supervisions] == ["user", "agent"]
        original = whole[cut.id.removesuffix("-take2")]
        said = [s.custom["text_full"] for s in original.supervisions if s.speaker == "user"]
        assert len(cut.supervisions[0].text.split()) == sum(len(text.split()) for text in said)


def test_a_scene_that_does_not_exist_and_a_corpus_without_a_test_split(corpus, small_corpus, tmp_path):
    with pytest.raises(RequestError, match="no scene 'rain'; the scenes are plain, impatient"):
        make_scenes(corpus, tmp_path, ["rain"], 1, None, None)
    with pytest.raises(RequestError, match="test or validation, not from 'train'"):
        make_scenes(corpus, tmp_path, ["plain"], 1, None, None, split="train")
    with pytest.raises(RequestError, match="no dialogue in its test split"):
        make_scenes(small_corpus, tmp_path, ["plain"], 1, None, None)
