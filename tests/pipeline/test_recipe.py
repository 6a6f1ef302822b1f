import pytest
import yaml
from typer.testing import CliRunner

from manifests.errors import RequestError
from pipeline.cli import app
from pipeline.recipe import load_recipe, recipe_from
from stages.base import Stage
from stages.render import Render


class LoudRender(Render):
    """A custom stage, named in a recipe by its import path."""


class Untyped(Stage):
    """It declares neither its input nor its output."""


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


def test_resources_do_not_change_the_corpus():
    assert load_recipe(overrides=["tokenize.resources.cpus=1"]).id == load_recipe().id


def test_a_users_own_stage_is_used():
    spec = load_recipe(overrides=["render.use=test_recipe:LoudRender"]).stage("render")
    made = spec.make(0)
    assert isinstance(made, Stage)
    assert type(made).__name__ == "LoudRender"


def test_a_stage_is_left_out_another_inserted_and_each_has_its_section():
    listed = ["stages=[speak, cast, synthesize, schedule, render, again, tokenize]", "seed=3"]
    own = ["again={use: 'stages.verify:Verify', clipped: 0.5, resources: {timeout_s: 5}}"]
    recipe = load_recipe(overrides=[*listed, *own])
    assert [spec.name for spec in recipe.stages] == recipe.as_dict()["stages"] != load_recipe().as_dict()["stages"]
    again = recipe.stage("again")
    assert (again.settings.clipped, again.resources.timeout_s, again.resources.cpus) == (0.5, 5, 1)
    assert recipe.as_dict()["again"]["clipped"] == 0.5 and "verify" not in recipe.as_dict()
    with pytest.raises(RequestError, match="no stage 'verify'; its stages are speak, cast"):
        recipe.stage("verify")


def test_a_limit_on_failures_does_not_change_the_corpus():
    assert load_recipe().max_failed == 0.01
    assert load_recipe(overrides=["max_failed=0"]).id == load_recipe().id


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "schedule.barge_in.shre=1",
            "no key 'schedule.barge_in.shre'; the keys are: share, turn_share, cut_off_s, earliest_s",
        ),
        ("shedule.tail_s=1", "no section 'shedule'; the sections are seed, stages, max_failed, ingest, speak"),
        (
            "schedule.barge_in.share=2",
            "schedule.barge_in.share is wrong: input should be less than or equal to 1, not 2",
        ),
        ("schedule.user_gap_s={low: 2, high: 1}", "schedule.user_gap_s is wrong: 'low' must not be above 'high'"),
        ("seed=-1", "whole number"),
        ("seed=soon", "whole number"),
        ("render.use=nowhere:Stage", "can't be imported"),
        ("render.use=pathlib:Path", "'pathlib:Path', which is not a Stage; see docs/write_a_stage.md"),
        ("render.use=pathlib:PurePath.name", "can't be imported"),
        ("render.use=test_recipe:Untyped", "Untyped does not declare which records it takes and returns; see"),
        ("max_failed=2", "max_failed must be a share from 0 to 1, not 2"),
        ("phone={use: x}", "no section 'phone'; the sections are seed, stages, max_failed, ingest, speak"),
        ("stages=speak", "'stages' must be a list of names, as in [speak, cast, "),
        ("stages=[speak, cast, phone]", "'phone' is not an embedded one (speak, cast, "),
        ("stages=[ingest, speak]", "'stages' name 'ingest', which always runs"),
        ("stages=[seed, speak]", "'stages' name 'seed', which is another key of the recipe"),
        ("stages=[speak, speak]", "'stages' name 'speak' twice"),
        (
            "stages=[speak, cast, synthesize, render, schedule, verify, tokenize]",
            "The recipe's stages are in the wrong order: 'render' takes Timeline records, but 'synthesize' before it gives "
            "SpokenDialogue.",
        ),
        (
            "stages=[schedule, render, tokenize]",
            "'schedule' takes SpokenDialogue records, but 'ingest' before it gives Dialogue.",
        ),
        (
            "stages=[speak, cast, synthesize, schedule, render, verify]",
            "'pack' takes TokenizedDialogue records, but 'verify' before it gives DuplexDialogue.",
        ),
        ("tokenize.resources.cpus=none", "tokenize.resources.cpus is wrong"),
        ("ingest=5", "section 'ingest' must be a mapping of keys to values"),
        ("justakey", "--set takes key=value"),
    ],
)
def test_errors_name_the_key_and_the_allowed_values(override, said):
    assert said in recipe_error(override)


def test_a_custom_module_that_fails_is_named(tmp_path, monkeypatch):
    (tmp_path / "half_written.py").write_text("class Mine(Stge): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "can't be imported: NameError: name 'Stge' is not defined" in recipe_error("render.use=half_written:Mine")


@pytest.mark.parametrize("name", ["quick_and_patient", "in_the_wild", "in_the_wild.yaml", "directed"])
def test_a_bundled_recipe_is_given_by_name(name):
    printed = CliRunner().invoke(app, ["recipe", "--recipe", name])
    assert printed.exit_code == 0
    assert recipe_from(yaml.safe_load(printed.stdout)).id != load_recipe().id


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in_the_wild.yaml").write_text("seed: 3\n")
    assert "seed: 3" in CliRunner().invoke(app, ["recipe", "--recipe", "in_the_wild.yaml"]).stdout


def test_an_invalid_recipe_file_is_reported(tmp_path):
    assert "does not exist" in recipe_error(path=tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("seed: [1\n")
    assert "not valid YAML" in recipe_error(path=broken)
    broken.write_text("- a list\n")
    assert "must be a mapping" in recipe_error(path=broken)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("seed: 1\ningest:\n  takes: 2\nseed: 1\n", "'seed' twice, on lines 1 and 4"),
        ("ingest: {takes: 2}\nseed: 1\ningest:\n  test: 0.1\n", "'ingest' twice, on lines 1 and 3"),
        ("cast: {agent_voice: a, agent_voice: b}\n", "'agent_voice' twice, on lines 1 and 1"),
        ("schedule:\n  barge_in:\n    share: 1\n    share: 0\n", "'share' twice, on lines 3 and 4"),
    ],
)
def test_a_duplicate_key_is_rejected(tmp_path, text, where):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RequestError, match=where):
        load_recipe(path)
