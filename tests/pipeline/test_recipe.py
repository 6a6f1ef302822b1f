import pytest
import yaml

from manifests.errors import RequestError
from pipeline.recipe import load_recipe
from stages.base import Stage
from stages.render import Render


class LoudRender(Render):
    """A user's own stage, named in a recipe by its import path."""


def recipe_error(*overrides, path=None) -> str:
    with pytest.raises(RequestError) as caught:
        load_recipe(path, overrides)
    return str(caught.value)


def test_the_default_recipe_is_the_papers_timing():
    recipe = load_recipe()
    schedule = recipe.stage("schedule").settings
    assert (schedule.agent_gap_s, schedule.barge_in.cut_off_s) == (0.64, 0.64)
    assert [spec.name for spec in recipe.stages] == [
        "speak",
        "cast",
        "synthesize",
        "schedule",
        "render",
        "verify",
        "tokenize",
    ]


def test_file_and_overrides_are_merged(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("seed: 3\nschedule:\n  barge_in: {share: 0.1}\n")
    recipe = load_recipe(path, ["schedule.barge_in.cut_off_s=0.32", "pack.shard_size=7"])
    barge_in = recipe.stage("schedule").settings.barge_in
    assert (recipe.seed, barge_in.share, barge_in.cut_off_s, recipe.pack.shard_size) == (3, 0.1, 0.32, 7)


def test_a_printed_recipe_is_the_same_recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(load_recipe(overrides=["seed=5"]).as_dict()))
    assert load_recipe(path).id == load_recipe(overrides=["seed=5"]).id != load_recipe().id


def test_resources_do_not_make_another_corpus():
    assert load_recipe(overrides=["tokenize.resources.cpus=1"]).id == load_recipe().id


def test_a_users_own_stage_is_used():
    spec = load_recipe(overrides=["render.use=test_recipe:LoudRender"]).stage("render")
    made = spec.make(0)
    assert isinstance(made, Stage)
    assert type(made).__name__ == "LoudRender"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "schedule.barge_in.shre=1",
            "no key 'schedule.barge_in.shre'; the keys there are: share, turn_share, cut_off_s, earliest_s",
        ),
        ("shedule.tail_s=1", "no section 'shedule'; the sections are seed, ingest, speak"),
        (
            "schedule.barge_in.share=2",
            "schedule.barge_in.share is wrong: input should be less than or equal to 1, not 2",
        ),
        ("schedule.user_gap_s={low: 2, high: 1}", "schedule.user_gap_s is wrong: 'low' must not be above 'high'"),
        ("seed=-1", "whole number"),
        ("seed=soon", "whole number"),
        ("render.use=nowhere:Stage", "can't be imported"),
        ("render.use=pathlib:Path", "has no 'Settings'"),
        ("tokenize.resources.cpus=none", "tokenize.resources.cpus is wrong"),
        ("ingest=5", "section 'ingest' must hold keys and values"),
        ("justakey", "--set takes key=value"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(override, said):
    assert said in recipe_error(override)


def test_a_module_of_ones_own_that_breaks_is_named(tmp_path, monkeypatch):
    (tmp_path / "half_written.py").write_text("class Mine(Stge): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "can't be imported: NameError: name 'Stge' is not defined" in recipe_error("render.use=half_written:Mine")


def test_a_recipe_file_that_is_none_is_told(tmp_path):
    assert "does not exist" in recipe_error(path=tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("seed: [1\n")
    assert "not valid YAML" in recipe_error(path=broken)
    broken.write_text("- a list\n")
    assert "must be a mapping" in recipe_error(path=broken)
