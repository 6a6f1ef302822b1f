"""The recipe: the stages, their order, and a section of settings for each; all values are checked before any work."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from manifests.errors import RequestError
from manifests.records import Dialogue, TokenizedDialogue
from pipeline.overrides import overridden
from stages.base import Resources, Settings, Stage, StageTypes, import_named, loads, stage_types
from stages.cast import CastSettings
from stages.ingest import IngestSettings
from stages.pack import PackSettings
from stages.synthesize import Synthesizer
from stages.text.languages import ENGLISH

EMBEDDED = {
    "speak": "stages.speak:Speak",
    "cast": "stages.cast:Cast",
    "synthesize": "stages.voices.espeak:EspeakSynthesizer",
    "schedule": "stages.schedule:Schedule",
    "render": "stages.render:Render",
    "verify": "stages.verify:Verify",
    "tokenize": "stages.tokenize:BundledTokenizer",
}
"""The default stages between ingest and pack, in order, and the default class of each."""

OPTIONAL = {"director": "stages.directing.rules:RulesDirector"}
"""Stages that run only if the recipe lists them, between `speak` and `cast`."""

M = TypeVar("M")

AnyStage = Stage[Any, Any, Any]

HEAD, TAIL = ("seed", "stages", "max_failed", "ingest"), ("pack",)
"""The top-level keys before and after the stages' sections."""

GUIDE = "see docs/write_a_stage.md and examples/phone.py"


@dataclass(frozen=True)
class StageSpec:
    """A stage in a recipe: its class, settings and resources."""

    name: str
    use: str
    settings: Settings
    resources: Resources

    @property
    def stage_class(self) -> type[AnyStage]:
        return import_stage(self.name, self.use)

    @property
    def types(self) -> StageTypes:
        return stage_types(self.stage_class)

    @property
    def loads(self) -> bool:
        return loads(self.stage_class)

    def make(self, seed: int) -> AnyStage:
        """A stage whose `setup` has run, ready to process."""
        stage = self.stage_class(self.settings, seed)
        stage.setup()
        return stage


@dataclass(frozen=True)
class Recipe:
    seed: int
    language: str
    """The language of the dialogues, as an ISO 639-1 code."""
    max_failed: float
    """Maximum share of dialogues rejected because a stage raised or hung; above it, the build stops with exit code 1."""
    ingest: IngestSettings
    stages: tuple[StageSpec, ...]
    pack: PackSettings

    def stage(self, name: str) -> StageSpec:
        """A stage by name; raises `RequestError` if the recipe has no such stage."""
        for spec in self.stages:
            if spec.name == name:
                return spec
        names = ", ".join(spec.name for spec in self.stages)
        raise RequestError(f"The recipe has no stage '{name}'; its stages are {names}.")

    def as_dict(self) -> dict[str, Any]:
        """Everything that determines the corpus's content, including defaults; resources and `max_failed` do not."""
        sections = {spec.name: {"use": spec.use, **spec.settings.model_dump()} for spec in self.stages}
        return {
            "seed": self.seed,
            "stages": list(sections),
            "ingest": self.ingest.model_dump(),
            **sections,
            "pack": self.pack.model_dump(),
        }

    @property
    def id(self) -> str:
        """A short hash of `content`."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:12]


def load_recipe(path: Path | None = None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a YAML recipe (None: the defaults), apply `key=value` overrides, and check everything.

    Raises `RequestError` naming the key and its allowed values.
    """
    return recipe_from(overridden(read_yaml(path) if path else {}, overrides))


def recipe_from(data: dict[str, Any]) -> Recipe:
    """A recipe from a dictionary (as from `Recipe.as_dict`, or parts of it); raises `RequestError`."""
    names = _stage_names(data.get("stages"))
    known = (*HEAD, *names, *TAIL)
    for key in data:
        if key not in known:
            raise RequestError(
                f"The recipe has no section '{key}'; the sections are {', '.join(known)}. Your own stage, or one that was "
                "left out, must also be listed in 'stages'."
            )
    seed = data.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise RequestError(f"The recipe's seed must be a whole number from 0 to 2^63 - 1, not {seed!r}.")
    max_failed = data.get("max_failed", 0.01)
    if not isinstance(max_failed, int | float) or isinstance(max_failed, bool) or not 0 <= max_failed <= 1:
        raise RequestError(f"The recipe's max_failed must be a share from 0 to 1, not {max_failed!r}.")
    ingest = validated("ingest", IngestSettings, _section(data, "ingest"))
    language = ingest.language or _language_of([_section(data, name) for name in names])
    stages: list[StageSpec] = []
    for name in reversed(names):  # from the end, since a synthesizer determines the voices of the cast before it
        stages.insert(0, _stage_spec(name, _section(data, name), language, stages))
    _check_order(stages)
    return Recipe(
        seed=seed,
        language=language,
        max_failed=float(max_failed),
        ingest=ingest,
        stages=tuple(stages),
        pack=validated("pack", PackSettings, _section(data, "pack")),
    )


def import_stage(name: str, use: str) -> type[AnyStage]:
    """The stage class at `module:Class`; the working folder is searched last, for the user's own stages."""
    try:
        stage = import_named(use)
    except ValueError as error:
        raise RequestError(f"The recipe's {name}.use names '{use}', which can't be imported: {error}.") from error
    if not (isinstance(stage, type) and issubclass(stage, Stage)):
        raise RequestError(f"The recipe's {name}.use names '{use}', which is not a Stage; {GUIDE}.")
    try:
        stage_types(stage)
    except TypeError as error:
        raise RequestError(f"The recipe's {name}.use names '{use}', which can't be used: {error}; {GUIDE}.") from None
    return stage


class _KeyTwice(Exception):
    pass


class _KeysOnce(yaml.SafeLoader):
    """YAML without duplicate keys: of two sections with one name, the first would be silently lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in lines:
                raise _KeyTwice(f"has '{key.value}' twice, on lines {lines[key.value]} and {line}")
            lines[key.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(path.read_text("utf-8"), _KeysOnce)
    except FileNotFoundError:
        raise RequestError(f"The recipe {path} does not exist; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"The recipe {path} can't be read: {error}.") from None
    except _KeyTwice as error:
        raise RequestError(f"The recipe {path} {error}; merge them.") from None
    except yaml.YAMLError as error:
        raise RequestError(f"The recipe {path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(data, dict | None):
        raise RequestError(f"The recipe {path} must be a mapping of sections, as `salm-duplex recipe` prints it.")
    return data or {}


def _section(data: dict[str, Any], name: str) -> dict[str, Any]:
    section = data.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise RequestError(f"The recipe's section '{name}' must be a mapping of keys to values, not {section!r}.")
    return dict(section)


def _stage_names(given: object) -> list[str]:
    if given is None:
        return list(EMBEDDED)
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given) or not given:
        raise RequestError(
            f"The recipe's 'stages' must be a list of names, as in [{', '.join(EMBEDDED)}], not {given!r}."
        )
    for name in given:
        if name in ("ingest", "pack"):
            raise RequestError(
                f"The recipe's 'stages' name '{name}', which always runs; list the stages between ingest and pack."
            )
        if name in HEAD:
            raise RequestError(
                f"The recipe's 'stages' name '{name}', which is another key of the recipe; choose another name."
            )
        if given.count(name) > 1:
            raise RequestError(f"The recipe's 'stages' name '{name}' twice; give the second one another name.")
    return given


def _language_of(sections: Sequence[dict[str, Any]]) -> str:
    """The language of a recipe whose `ingest` accepts any: the first one set in a stage, or English."""
    return next((str(section["language"]) for section in sections if "language" in section), ENGLISH)


def _check_order(stages: Sequence[StageSpec]) -> None:
    """Raise `RequestError` if a stage does not accept the records of the one before it."""
    ends = [(spec.name, spec.types.takes, spec.types.gives) for spec in stages]
    before: str = "ingest"
    given: type = Dialogue
    for name, takes, gives in [*ends, ("pack", TokenizedDialogue, TokenizedDialogue)]:
        if not issubclass(given, takes):
            raise RequestError(
                f"The recipe's stages are in the wrong order: '{name}' takes {takes.__name__} records, but '{before}' before it "
                f"gives {given.__name__}."
            )
        before, given = name, gives


def _offered_voices(following: Sequence[StageSpec]) -> dict[str, Any]:
    """The part of `cast` that the synthesizer after it determines, unless the recipe does."""
    for spec in following:
        if issubclass(spec.stage_class, Synthesizer) and (voices := spec.stage_class.voices(spec.settings)):
            return {"agent_voice": voices[0], "user_voices": voices[1:]}
    return {}


def _stage_spec(name: str, section: dict[str, Any], language: str, following: Sequence[StageSpec]) -> StageSpec:
    own = EMBEDDED | OPTIONAL
    if not (use := section.pop("use", own.get(name))):
        raise RequestError(
            f"The recipe's stage '{name}' is not an embedded one ({', '.join(own)}), so its section must name its "
            f'class, as in {name}: {{use: "my_module:MyStage"}}; {GUIDE}.'
        )
    stage = import_stage(name, str(use))
    model = stage_types(stage).settings
    wanted = section.pop("resources", None) or {}
    if not isinstance(wanted, dict):
        raise RequestError(f"The recipe's {name}.resources must be a mapping of keys to values, not {wanted!r}.")
    resources = validated(f"{name}.resources", Resources, stage.resources.model_dump() | wanted)
    if issubclass(model, CastSettings):
        section = _offered_voices(following) | section
    if "language" in model.model_fields and section.setdefault("language", language) != language:
        raise RequestError(
            f"The recipe's {name}.language is '{section['language']}', but the recipe's language is '{language}' (ingest.language); "
            "remove the first one."
        )
    return StageSpec(name, str(use), validated(name, model, section), resources)


def validated(name: str, model: type[M], section: dict[str, Any], file: str = "recipe") -> M:
    """A section, or a whole file, as a pydantic model or dataclass; raises `RequestError` naming the invalid key."""
    try:
        return TypeAdapter(model).validate_python(section)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(filter(None, [name, *(str(part) for part in first["loc"])]))
        if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            allowed = ", ".join(_fields_at(model, first["loc"][:-1])) or "none"
            raise RequestError(f"The {file} has no key '{key}'; the keys are: {allowed}.") from None
        given = f", not {first['input']!r}" if key and not isinstance(first["input"], dict) else ""
        message = first["msg"].removeprefix("Value error, ")
        where = f"{file}'s {key}" if key else file
        raise RequestError(f"The {where} is wrong: {message[0].lower()}{message[1:]}{given}.") from None


def _fields_at(model: Any, loc: tuple[int | str, ...]) -> list[str]:
    if is_dataclass(model):
        return [field.name for field in fields(model)]
    for part in loc:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
