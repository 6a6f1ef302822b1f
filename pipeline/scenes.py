"""`salm-duplex scenes`: test sets that each test one behavior of an agent, from a held-out split of a corpus.

A scene performs that split again: the same dialogues, in the voices reserved for the split, with the corpus's own
recipe except for what the scene is about. So a model trained on the corpus has heard neither. Each scene is a corpus
with that split only: the test split for `salm-duplex evaluate`, the validation split for `salm-duplex tune`."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lhotse import MonoCut

from manifests.corpus import Corpus
from manifests.errors import RequestError, WorkError
from manifests.progress import Progress, silent
from pipeline.building.driver import build
from pipeline.recipe import recipe_from
from stages.director import Director
from stages.sound.path import SoundSettings

Row = dict[str, Any]
HELD_OUT = ("test", "validation")


def _as_written(turns: list[Row]) -> list[Row]:
    return turns


def _monologue(turns: list[Row]) -> list[Row]:
    """Everything the user says, in one turn, and the agent's last answer."""
    user = [turn["text"] for turn in turns if turn["speaker"] == "user"]
    agent = [turn["text"] for turn in turns if turn["speaker"] == "agent"]
    return [{"speaker": "user", "text": " ".join(user)}, {"speaker": "agent", "text": agent[-1]}]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a scene tests, the recipe keys that it sets, and how it changes a dialogue's turns and the time that
    users wait before their turns."""

    asks: str
    recipe: dict[str, Any] = field(default_factory=dict)
    script: Callable[[list[Row]], list[Row]] = _as_written
    user_gap: float = 1.0


QUIET = {
    "speak": {
        **{name: {"share": 0} for name in ("agent_backchannel", "false_start", "side_talk", "reprompt", "hold")},
        "backchannel": {"share": 0, "per_minute": None},
        "filler": {"per_minute": 0},
    },
    "schedule": {
        "profile": "paper",
        "agent_overlaps": False,
        "agent_tail": {"share": 0},
        "barge_in": {"share": 0, "early": 0, "late": 0, "again": 0, "finish_word": 0},
        "pause": {"share": 0},
    },
    "render": {effect: {"share": 0} for effect in SoundSettings.model_fields},
}
"""Nothing but turns, on a clean channel: the basis of every scene."""
WAIT = {"schedule": {"lead_s": {"low": 10, "high": 15}, "tail_s": 10}}
"""Long stretches during which nobody speaks to the agent."""

SCENES = {
    "plain": Scene("turns and barge-ins as in the paper", {"schedule": {"barge_in": {"share": 0.5}}}),
    "impatient": Scene(
        "the same, and the user waits half as long before a turn (the paper's Impatient set)",
        {"schedule": {"barge_in": {"share": 0.5}}},
        user_gap=0.5,
    ),
    "interruption": Scene("a barge-in in every dialogue", {"schedule": {"barge_in": {"share": 1}}}),
    "repeated_interruption": Scene(
        "a barge-in into every sufficiently long agent turn, in quick succession",
        {"schedule": {"barge_in": {"share": 1, "turn_share": 1}, "user_gap_s": {"low": 0.1, "high": 0.4}}},
    ),
    "pauses": Scene("the user pauses inside turns", {"schedule": {"pause": {"share": 1, "turn_share": 1}}}),
    "backchannels": Scene(
        "the user says mm-hm while the agent talks", {"speak": {"backchannel": {"share": 1, "turn_share": 1}}}
    ),
    "fillers": Scene(
        "the user says um and pauses inside turns",
        {"speak": {"filler": {"per_minute": 12}}, "schedule": {"pause": {"after_filler": 1}}},
    ),
    "agent_backchannels": Scene(
        "the user talks for a long time, and the agent may say mm-hm meanwhile",
        {"speak": {"agent_backchannel": {"share": 1, "turn_share": 1}}},
    ),
    "waits": Scene(
        "the user asks the agent to wait until told to continue, or to stop",
        {"speak": {"hold": {"share": 1, "turn_share": 0.5}}},
    ),
    "late_answers": Scene(
        "the user does not answer for a long time, and the agent may ask again",
        {"speak": {"reprompt": {"share": 1, "turn_share": 1}}},
    ),
    "false_starts": Scene(
        "the user starts to speak and gives up, and the agent should continue",
        {"speak": {"false_start": {"share": 1, "turn_share": 1}}},
    ),
    "side_talk": Scene(
        "the user talks to somebody else, and the agent should stay silent",
        {"speak": {"side_talk": {"share": 1, "turn_share": 0.5}}},
    ),
    "noise": Scene("constant noise, and long waits", {"render": {"noise": {"share": 1}}} | WAIT),
    "silence": Scene("long waits in silence", WAIT),
    "monologue": Scene(
        "one long turn of the user", {"schedule": {"pause": {"share": 0.5, "turn_share": 1}}}, _monologue
    ),
}


def make_scenes(
    corpus: Corpus,
    out: Path,
    names: Sequence[str],
    takes: int,
    limit: int | None,
    workers: int | None,
    progress: Progress = silent,
    split: str = "test",
) -> dict[str, Row]:
    """Build the named scenes in `out`; returns each one's `corpus.json`. Finished scenes are kept.

    Raises `RequestError` if there is no such scene or no dialogue to test on.
    """
    if unknown := [name for name in names if name not in SCENES]:
        raise RequestError(f"There is no scene '{unknown[0]}'; the scenes are {', '.join(SCENES)}.")
    if split not in HELD_OUT:
        raise RequestError(f"Scenes are made from a held-out split, {' or '.join(HELD_OUT)}, not from '{split}'.")
    if split not in corpus.splits:
        raise RequestError(
            f"The corpus {corpus.url} has no dialogue in its {split} split; build it from more dialogues."
        )
    dialogues = _dialogues(corpus, split, limit)
    made = {}
    for name in names:
        scene = SCENES[name]
        script = out / f"{name}.jsonl"
        try:
            out.mkdir(parents=True, exist_ok=True)
            lines = [dialogue | {"turns": scene.script(dialogue["turns"])} for dialogue in dialogues]
            script.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
        except OSError as error:
            raise WorkError(f"{out} can't be written: {error.strerror or error}.") from error
        recipe = recipe_from(scene_recipe(corpus, name, takes))
        made[name] = build([str(script)], out / name, recipe, workers, progress=_within(name, progress))
    return made


def _within(scene: str, progress: Progress) -> Progress:
    return lambda done, total, message: progress(done, total, f"{scene}: {message}")


def scene_recipe(corpus: Corpus, name: str, takes: int) -> Row:
    """The corpus's recipe with the scene's changes."""
    scene, recipe = SCENES[name], deepcopy(corpus.info["identity"]["recipe"])
    if "user_gap_s" not in (schedule := recipe.get("schedule", {})):
        raise RequestError(
            f"The scenes need the embedded stage 'schedule', and {corpus.url} was timed by another stage; build a corpus with it."
        )
    gap = {edge: seconds * scene.user_gap for edge, seconds in schedule["user_gap_s"].items()}
    for spec in recipe_from(recipe).stages:
        if issubclass(spec.stage_class, Director):  # it would add events of all kinds to each scene
            recipe["stages"].remove(spec.name)
            del recipe[spec.name]
    for change in (QUIET, {"schedule": {"user_gap_s": gap}}, scene.recipe, {"ingest": {"takes": takes}}):
        _merge(recipe, change)
    return dict(recipe)


def _merge(base: Row, change: Row) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = deepcopy(value)


def _dialogues(corpus: Corpus, split: str, limit: int | None) -> list[Row]:
    """A split's dialogues as written, each once regardless of its takes, in our native input format."""
    found: dict[str, Row] = {}
    for cut in corpus.cuts(split):
        turns = [_turn(s) for s in cut.supervisions if s.custom["text_written"]]
        key = json.dumps(turns)
        if key not in found and {turn["speaker"] for turn in turns} == {"user", "agent"}:
            found[key] = _dialogue(cut, split, turns)
        if limit is not None and len(found) == limit:
            break
    return list(found.values())


def _dialogue(cut: MonoCut, split: str, turns: list[Row]) -> Row:
    prompt = cut.custom.get("system_prompt", "")
    return {"id": cut.id, "split": split, "turns": turns} | ({"system_prompt": prompt} if prompt else {})


def _turn(s: Any) -> Row:
    return {"speaker": s.speaker, "text": s.custom["text_written"]}
