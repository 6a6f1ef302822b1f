"""The stage interface: a small class that maps each record of a batch to a record of another type, or to a rejection.

`docs/write_a_stage.md` shows how to write your own.
"""

import hashlib
import importlib
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from manifests.labels import Label
from manifests.records import BadDialogue, Dialogue, DuplexDialogue, Record, Rejected, SpokenDialogue, Timeline


class Settings(BaseModel):
    """A stage's section of the recipe; an unknown key is an error."""

    # Defaults are validated too, so that an omitted float and one written out are the same value.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Resources(Settings):
    """What one worker of a stage needs, for Ray's scheduling. Neighbors with equal resources run in one process."""

    cpus: float = Field(default=1, gt=0, description="cores, or a fraction of one")
    gpus: float = Field(default=0, ge=0, description="GPUs, or a fraction of one")
    concurrency: int | None = Field(
        default=None, ge=1, description="maximum number of workers; default: one per build worker"
    )
    timeout_s: float = Field(
        default=600,
        gt=0,
        description="time limit for one dialogue in seconds; a stage that hangs is terminated and the dialogue rejected",
    )


In = TypeVar("In", bound=Record)
Out = TypeVar("Out", bound=Record)
S = TypeVar("S", bound=Settings)


class Stage(Generic[In, Out, S]):
    """Takes records of one type, returns records of another (or the same), and is configured by its settings.

    The three are read from the type arguments, as in `class Render(Stage[Timeline, DuplexDialogue, RenderSettings])`;
    see `stage_types`. A result must depend only on the record, the settings and the seed: not on what was processed
    before or with it, by which worker, or when."""

    resources: ClassVar[Resources] = Resources()

    def __init__(self, settings: S, seed: int) -> None:
        self.settings = settings
        self.seed = seed

    @classmethod
    def check(cls, settings: S) -> None:
        """Raise `RequestError` if the stage can't be used here (a package or file is missing); called before any
        work."""

    def setup(self) -> None:
        """Load what is needed, once per worker."""

    def made_by(self) -> dict[str, str]:
        """What the result depends on besides the recipe (a checkpoint's hash, a device), for `corpus.json`."""
        return {}

    def process(self, records: Sequence[In]) -> Sequence[Out | Rejected]:
        """One item per record, in order: the record of the next stage, or a `Rejected`."""
        raise NotImplementedError


def import_named(use: str) -> Any:
    """The object at `module:name`; the working folder is searched last, for user modules. Raises ValueError with the
    reason."""
    module, _, name = use.partition(":")
    if "" not in sys.path:
        sys.path.append("")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:  # a user module may raise anything
        raise ValueError(f"{type(error).__name__}: {error}") from error


class StageTypes(NamedTuple):
    """The record types a stage takes and returns, and the model of its settings."""

    takes: type
    gives: type
    settings: type[Settings]


def stage_types(cls: type[Stage[Any, Any, Any]]) -> StageTypes:
    """The type arguments of a stage, from its class or a base class.

    If a class leaves its settings open, they are the bound of the type variable. Raises TypeError if a record type is
    open."""
    takes, gives, settings = _arguments(cls)
    if isinstance(settings, TypeVar):
        settings = settings.__bound__
    if not (isinstance(takes, type) and isinstance(gives, type)):
        raise TypeError(f"{cls.__name__} does not declare which records it takes and returns")
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        raise TypeError(f"{cls.__name__} has settings that are not stages.base.Settings")
    return StageTypes(takes, gives, settings)


def _arguments(cls: type) -> tuple[Any, ...]:
    """In, Out and S of a stage; open ones stay type variables."""
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        generic = get_origin(base) or base
        if generic is Stage:
            return get_args(base) or (In, Out, S)
        if isinstance(generic, type) and issubclass(generic, Stage):
            given = dict(zip(getattr(generic, "__parameters__", ()), get_args(base), strict=False))
            return tuple(given.get(argument, argument) for argument in _arguments(generic))
    return In, Out, S


def loads(cls: type[Stage[Any, Any, Any]]) -> bool:
    """Whether a worker of the stage must load something before its first record."""
    return cls.setup is not Stage.setup


def draw(seed: int, dialogue_id: str, purpose: str) -> random.Random:
    """A random generator for one purpose in one dialogue, the same wherever and whenever it is created."""
    key = hashlib.sha256(f"{seed}\x1f{dialogue_id}\x1f{purpose}".encode()).digest()
    return random.Random(int.from_bytes(key[:16], "big"))


def poisson(expected: float, random: random.Random) -> int:
    """A random number of events with this average."""
    number, time = 0, random.expovariate(1)
    while time < expected:
        number, time = number + 1, time + random.expovariate(1)
    return number


def picked(places: Sequence[int], share: float, place_share: float, random: random.Random) -> list[int]:
    """A random selection of a dialogue's places: empty except in a `share` of the dialogues; there, at least one."""
    if not places or random.random() >= share:
        return []
    return [place for place in places if random.random() < place_share] or [random.choice(places)]


def labeled(record: In, /, **labels: Label) -> In:
    """The record with these labels of its dialogue added or replaced; the cut, the tables and the report have them.

    Raises TypeError for a value that is not a bool, int, float or str, and ValueError for a number that is not finite
    or exceeds 64 bits, and for a name that can't be used."""
    if isinstance(record, Dialogue):
        return replace(record, labels={**record.labels, **labels})
    if isinstance(record, SpokenDialogue):
        return replace(record, dialogue=labeled(record.dialogue, **labels))
    if isinstance(record, Timeline):
        return replace(record, spoken=labeled(record.spoken, **labels))
    if isinstance(record, DuplexDialogue):
        return replace(record, timeline=labeled(record.timeline, **labels))
    raise TypeError(f"a {type(record).__name__} has no labels")


def reject(dialogue: Dialogue, stage: str, error: BadDialogue) -> Rejected:
    return Rejected(dialogue.id, dialogue.source, stage, error.reason, str(error))
