"""A small corpus with real codes, and a model small enough to be trained in a test."""

from pathlib import Path

import pytest
import yaml
from corpus_material import make_corpus
from material import SMALL_RUN, make_dialogue

from manifests.corpus import Corpus
from manifests.records import TokenizedDialogue
from pipeline.recipe import load_recipe

TEXTS = (
    ("Can you hear me?", "Loud and clear.", "Good.", "What can I do for you?"),
    ("Two coffees, please.", "Right away. Milk or sugar?", "Milk.", "One moment."),
    ("Is it far to the sea?", "Ten minutes on foot, and worth every step of the way.", "Thanks."),
    ("Tell me a number.", "Seven.", "Another one.", "Twenty two."),
)


@pytest.fixture(scope="session")
def talk(tmp_path_factory) -> Corpus:
    """Four short dialogues through the real stages, on disk as a corpus."""
    records: list = [make_dialogue(f"d{i}", lines) for i, lines in enumerate(TEXTS)]
    recipe = load_recipe(overrides=["schedule.barge_in.share=0"])
    for spec in recipe.stages:
        records = spec.make(0).process(records)
    assert all(isinstance(record, TokenizedDialogue) for record in records)
    return make_corpus(tmp_path_factory.mktemp("talk"), records)


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL_RUN))
    return path
