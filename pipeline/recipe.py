"""The recipe: one section per stage, every value checked before any work begins."""

import hashlib
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from manifests.errors import RequestError
from stages.base import Resources, Stage
from stages.ingest import IngestSettings
from stages.pack import PackSettings

STAGES = {
    "speak": "stages.speak:Speak",
    "cast": "stages.cast:Cast",
    "synthesize": "stages.voices.espeak:EspeakSynthesizer",
    "schedule": "stages.schedule:Schedule",
    "render": "stages.render:Render",
    "verify": "stages.verify:Verify",
    "tokenize": "stages.tokenize:BundledTokenizer",
}
"""The stages between ingest and pack, in order, and the class that runs where the recipe names no other."""

M = TypeVar("M", bound=BaseModel)

SECTIONS = ("seed", "ingest", *STAGES, "pack")


@dataclass(frozen=True)
class StageSpec:
    """A stage as the recipe has it: which class, with which settings, on which resources."""

    name: str
    use: str
    settings: BaseModel
    resources: Resources

    @property
    def stage_class(self) -> type[Stage]:
        return import_stage(self.name, self.use)

    @property
    def loads(self) -> bool:
        return bool(self.stage_class(self.settings, 0).loads)

    def make(self, seed: int) -> Stage:
        """A stage ready to process: its `setup` has run."""
        stage = self.stage_class(self.settings, seed)
        stage.setup()
        return stage


@dataclass(frozen=True)
class Recipe:
    seed: int
    ingest: IngestSettings
    stages: tuple[StageSpec, ...]
    pack: PackSettings

    def stage(self, name: str) -> StageSpec:
        return next(spec for spec in self.stages if spec.name == name)

    def as_dict(self) -> dict[str, Any]:
        """All that decides the corpus's content, defaults included; resources don't."""
        sections = {spec.name: {"use": spec.use, **spec.settings.model_dump()} for spec in self.stages}
        return {"seed": self.seed, "ingest": self.ingest.model_dump(), **sections, "pack": self.pack.model_dump()}

    @property
    def id(self) -> str:
        """A short hash of the content-deciding part."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:12]


def load_recipe(path: Path | None = None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a YAML recipe (or none: the defaults), apply `key=value` overrides, check everything.

    Raises `RequestError` that names the key and what it may be.
    """
    data = read_yaml(path) if path else {}
    for override in overrides:
        apply_override(data, override)
    return recipe_from(data)


def recipe_from(data: dict[str, Any]) -> Recipe:
    """A recipe from its plain form (what `Recipe.as_dict` gives, or parts of it); raises `RequestError`."""
    for key in data:
        if key not in SECTIONS:
            raise RequestError(f"The recipe has no section '{key}'; the sections are {', '.join(SECTIONS)}.")
    seed = data.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise RequestError(f"The recipe's seed must be a whole number from 0 to 2^63 - 1, not {seed!r}.")
    sections = {name: _section(data, name) for name in STAGES}
    synthesize = _stage_spec("synthesize", sections["synthesize"])
    sections["cast"] = _voices_of(synthesize) | sections["cast"]
    return Recipe(
        seed=seed,
        ingest=validated("ingest", IngestSettings, _section(data, "ingest")),
        stages=tuple(
            synthesize if name == "synthesize" else _stage_spec(name, section) for name, section in sections.items()
        ),
        pack=validated("pack", PackSettings, _section(data, "pack")),
    )


def import_stage(name: str, use: str) -> type[Stage]:
    """The class at `module:Class`; the current folder is searched too, for a user's own stages."""
    module_name, _, class_name = use.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        stage = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # a user's own module may raise anything
        raise RequestError(
            f"The recipe's {name}.use names '{use}', which can't be imported: {type(error).__name__}: {error}."
        ) from error
    for need in ("Settings", "loads", "resources", "setup", "process"):
        if not hasattr(stage, need):
            raise RequestError(
                f"The class '{use}' of {name}.use has no '{need}'; see stages/base.py for what a stage has."
            )
    return stage  # type: ignore[no-any-return]


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RequestError(f"The recipe {path} does not exist; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"The recipe {path} can't be read: {error}.") from None
    except yaml.YAMLError as error:
        raise RequestError(f"The recipe {path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(data, dict | None):
        raise RequestError(f"The recipe {path} must be a mapping of sections: {', '.join(SECTIONS)}.")
    return data or {}


def apply_override(data: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise RequestError(f"--set takes key=value, as in --set schedule.barge_in.share=0.3, not '{override}'.")
    *parents, last = key.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise RequestError(f"--set {override}: '{parent}' is a value, not a section.")
    try:
        data[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise RequestError(f"--set {override}: the value is not valid YAML; quote it.") from None


def _section(data: dict[str, Any], name: str) -> dict[str, Any]:
    section = data.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise RequestError(f"The recipe's section '{name}' must hold keys and values, not {section!r}.")
    return dict(section)


def _voices_of(synthesize: StageSpec) -> dict[str, Any]:
    """The part of `cast` that a synthesizer decides, where the recipe does not."""
    offers = getattr(synthesize.stage_class, "voices", None)
    if offers is None or not (voices := offers(synthesize.settings)):
        return {}
    return {"agent_voice": voices[0], "user_voices": voices[1:]}


def _stage_spec(name: str, section: dict[str, Any]) -> StageSpec:
    use = section.pop("use", STAGES[name])
    stage = import_stage(name, str(use))
    own = section.pop("resources", None) or {}
    if not isinstance(own, dict):
        raise RequestError(f"The recipe's {name}.resources must hold keys and values, not {own!r}.")
    resources = validated(f"{name}.resources", Resources, stage.resources.model_dump() | own)
    return StageSpec(name, str(use), validated(name, stage.Settings, section), resources)


def validated(name: str, model: type[M], section: dict[str, Any], file: str = "recipe") -> M:
    """A section by its name, or a whole file; raises `RequestError` naming the key that is wrong."""
    try:
        return model.model_validate(section)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(filter(None, [name, *(str(part) for part in first["loc"])]))
        if first["type"] == "extra_forbidden":
            allowed = ", ".join(_fields_at(model, first["loc"][:-1])) or "none"
            raise RequestError(f"The {file} has no key '{key}'; the keys there are: {allowed}.") from None
        given = "" if isinstance(first["input"], dict) else f", not {first['input']!r}"
        message = first["msg"].removeprefix("Value error, ")
        raise RequestError(f"The {file}'s {key} is wrong: {message[0].lower()}{message[1:]}{given}.") from None


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    for part in loc:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
