"""The bundled recipes: each loads, has a description, and does what it says. The bundled dialogues are all read."""

import json

import pytest
from typer.testing import CliRunner

from manifests.formats import read_dialogue
from pipeline.cli import app
from pipeline.commands.options import RECIPES, SHIPPED
from pipeline.commands.recipe import about
from pipeline.recipe import load_recipe
from pipeline.voices import about_voice, check_stages


def test_the_list_names_every_recipe_and_its_purpose() -> None:
    said = CliRunner().invoke(app, ["recipe", "--list"]).output
    assert set(RECIPES) >= {"paper", "quick_and_patient", "in_the_wild", "natural", "german", "directed"}
    for name in RECIPES:
        assert f"{name} " in said and about(name) in said


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_used(name: str) -> None:
    recipe = load_recipe(SHIPPED / f"{name}.yaml")
    check_stages(recipe)
    assert (SHIPPED / f"{name}.yaml").read_text("utf-8").startswith("# ")


def test_the_default_is_the_papers() -> None:
    assert load_recipe(SHIPPED / "paper.yaml").id == load_recipe().id


def test_german_is_spoken_by_german_voices() -> None:
    recipe = load_recipe(SHIPPED / "german.yaml")
    cast = recipe.stage("cast").settings
    assert recipe.language == recipe.stage("speak").settings.language == "de"
    assert all(voice.startswith("de") for voice in (cast.agent_voice, *cast.user_voices))


def test_natural_has_an_agent_by_hibari_and_users_by_kokoro() -> None:
    recipe = load_recipe(SHIPPED / "natural.yaml")
    cast = recipe.stage("cast").settings
    assert about_voice(recipe, cast.agent_voice)["engine"] == "Hibari"
    assert {about_voice(recipe, voice)["engine"] for voice in cast.user_voices} == {"Kokoro"}
    # Hibari's voice was trained on this one: a user with it would sound like the agent.
    assert "af_heart" not in cast.user_voices and len(cast.user_voices) >= 40


@pytest.mark.parametrize(("name", "number"), [("dialogues.jsonl", 72), ("conversations.jsonl", 990)])
def test_every_bundled_dialogue_is_read(name: str, number: int) -> None:
    found = [read_dialogue(json.loads(line), name, "") for line in (SHIPPED / name).read_text("utf-8").splitlines()]
    assert len({one.dialogue.id for one in found}) == len(found) == number
    assert not any(one.not_used for one in found)
