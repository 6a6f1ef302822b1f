"""Every scene, small and in memory: a few dialogues through the real stages, without Ray and without codes."""

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
from lhotse import MonoCut, Recording

from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.records import Dialogue, DuplexDialogue, Rejected, TokenizedDialogue, Turn
from manifests.shards import build_cut
from pipeline.recipe import Recipe, load_recipe, recipe_from
from pipeline.scenes import SCENES, scene_recipe

BUNDLED = Path(__file__).parents[1] / "pipeline" / "data" / "dialogues.jsonl"
SPEAKERS = {"user": "user", "assistant": "agent"}


CHOSEN = (20, 45)
"""Of the bundled dialogues, such as have turns of both sides long enough for every event, and are short."""


def scene_cuts() -> dict[str, list[MonoCut]]:
    """Two of the bundled dialogues as performed by each scene: cuts whose audio is in memory."""
    lines = BUNDLED.read_text("utf-8").splitlines()
    written = [json.loads(lines[number])["messages"] for number in CHOSEN]
    corpus = SimpleNamespace(info={"identity": {"recipe": load_recipe().as_dict()}}, url="bundled")
    recipes = {name: recipe_from(scene_recipe(corpus, name, 1)) for name in SCENES}
    cast: dict[str, list[Dialogue]] = {}
    for name, recipe in recipes.items():
        turns = [[{"speaker": SPEAKERS[m["role"]], "text": m["content"]} for m in messages] for messages in written]
        dialogues = [
            Dialogue(f"d{i}", tuple(Turn(**turn) for turn in SCENES[name].script(own)), source="x:1", split="test")
            for i, own in enumerate(turns)
        ]
        cast[name] = _through(recipe, ["speak", "cast"], dialogues)
    # All at once, so that lines that several scenes share in the same voice are synthesized once.
    together = [dialogue for own in cast.values() for dialogue in own]
    spoken = iter(_through(recipes["plain"], ["synthesize"], together))
    cuts = {}
    for name, recipe in recipes.items():
        own = [next(spoken) for _ in cast[name]]
        named = [replace(one, dialogue=replace(one.dialogue, id=f"{name}-{one.dialogue.id}")) for one in own]
        cuts[name] = [cut_of(record) for record in _through(recipe, ["schedule", "render"], named)]
    return cuts


def cut_of(record: DuplexDialogue) -> MonoCut:
    """The cut of a record, with its audio in memory and codes of silence."""
    codes = np.zeros((record.timeline.frames, 4), dtype=np.int16)
    cut = build_cut(TokenizedDialogue.of(record, codes), {"seed": 0})
    cut.recording = _in_memory(cut.id, record.user, SOURCE_RATE)
    cut.custom["target_audio"] = _in_memory(cut.id, record.agent, TARGET_RATE)
    return cut


def _through(recipe: Recipe, names: list[str], records: list) -> list:
    for name in names:
        records = recipe.stage(name).make(0).process(records)
    assert not any(isinstance(record, Rejected) for record in records)
    return records


def _in_memory(id: str, samples: np.ndarray, rate: int) -> Recording:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return Recording.from_bytes(file.getvalue(), id)
