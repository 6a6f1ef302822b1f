"""The documentation against the program: links resolve, commands and their options exist, recipes load, and keys are
valid."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import typer
import yaml
from pydantic import BaseModel

from manifests.errors import RequestError
from pipeline.cli import app
from pipeline.recipe import load_recipe, recipe_from
from salm_duplex import __version__
from salm_duplex_model.config import RunConfig

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
KEY = re.compile(r"`([a-z_]+(?:\.[a-z_]+)+)(?:[=:][^`]*)?`")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in FENCE.findall(page.read_text()) if name == language]


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@pages
def test_commands_and_their_options_exist(page: Path) -> None:
    root = typer.main.get_command(app)
    for line in re.findall(r"^    (?:.* -- )?salm-duplex (.+)$", page.read_text(), re.M):
        words, command = line.split("#")[0].split(), root
        while hasattr(command, "commands"):
            assert words and words[0] in command.commands, f"{page.name}: salm-duplex {line}"
            command = command.commands[words.pop(0)]
        known = {name for parameter in command.params for name in parameter.opts}
        given = {word for word in words if word.startswith("--")}
        assert given <= known, f"{page.name}: salm-duplex {line}"


def test_every_command_is_in_the_table() -> None:
    listed = set(re.findall(r"`([a-z-]+)", (ROOT / "docs" / "commands.md").read_text()))
    assert listed >= set(typer.main.get_command(app).commands)


@pages
def test_recipes_load(page: Path) -> None:
    for block in blocks(page, "yaml"):
        try:
            recipe_from(yaml.safe_load(block))
        except RequestError as error:  # a model on a hub that is out of reach; its section's keys were right
            assert "can't be downloaded" in str(error), f"{page.name}: {error}"


@pages
def test_keys_are_keys(page: Path) -> None:
    """`section.key` of a recipe or of a training configuration; `parents` are the models whose settings a page may
    name."""
    recipe = load_recipe()
    sections = {spec.name: spec.types.settings for spec in recipe.stages}
    sections |= {"ingest": type(recipe.ingest), "pack": type(recipe.pack)}
    trained = RunConfig.model_fields
    for key in KEY.findall(page.read_text()):
        first, *rest = key.split(".")
        if first in sections:
            assert _has(sections[first], rest), f"{page.name}: {key}"
        elif first in trained and first != "model":
            assert _has(RunConfig, [first, *rest]), f"{page.name}: {key}"


def _has(model: type[BaseModel], path: list[str]) -> bool:
    if not path:
        return True
    field = model.model_fields.get(path[0])
    if field is None:
        return False
    kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
    nested = [kind for kind in kinds if issubclass(kind, BaseModel)]
    return len(path) == 1 or any(_has(kind, path[1:]) for kind in nested)


def test_the_site_builds(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", tmp_path], cwd=ROOT, check=True
    )
    assert (tmp_path / "commands" / "index.html").exists()


def test_the_version_is_printed() -> None:
    command = [sys.executable, "-m", "pipeline.cli", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said == f"salm-duplex {__version__}\n"
