"""What a stage is: a small class that turns a batch of records of one type into as many of another, or rejections.

`docs/write_a_stage.md` shows how to write one of your own.
"""

import hashlib
import importlib
import random
import sys
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from manifests.records import BadDialogue, Dialogue, Record, Rejected


class Settings(BaseModel):
    """A stage's section of the recipe; an unknown key is an error."""

    # Defaults are validated too, so that a float left at its default and one written out are the same value.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Resources(Settings):
    """What one worker of a stage needs; Ray schedules by it. Neighbors that need the same run in one process."""

    cpus: float = Field(default=1, gt=0, description="cores, or a share of one")
    gpus: float = Field(default=0, ge=0, description="GPUs, or a share of one")
    concurrency: int | None = Field(default=None, ge=1, description="workers at most; default: one per build worker")
    timeout_s: float = Field(
        default=600,
        gt=0,
        description="seconds that the stage may take over one dialogue; a stage that hangs is ended and the dialogue rejected",
    )


In = TypeVar("In", bound=Record)
Out = TypeVar("Out", bound=Record)
S = TypeVar("S", bound=Settings)


class Stage(Generic[In, Out, S]):
    """Takes records of one type, gives records of another (or the same), and is configured by its settings.

    The three are read from the type arguments, as in `class Render(Stage[Timeline, DuplexDialogue, RenderSettings])`;
    see `stage_types`. A result must depend on the record, the settings and the seed alone: not on what was processed
    before or beside it, by which worker, or when."""

    resources: ClassVar[Resources] = Resources()

    def __init__(self, settings: S, seed: int) -> None:
        self.settings = settings
        self.seed = seed

    @classmethod
    def check(cls, settings: S) -> None:
        """Raise `RequestError` where the stage can't be used here (a package or a file is missing); called before any
        work."""

    def setup(self) -> None:
        """Load what is needed, once per worker."""

    def made_by(self) -> dict[str, str]:
        """What the result depends on beside the recipe (a checkpoint's hash, a device), for `corpus.json`."""
        return {}

    def process(self, records: Sequence[In]) -> Sequence[Out | Rejected]:
        """One item per record, in order: the record of the next stage, or a `Rejected`."""
        raise NotImplementedError


def import_named(use: str) -> Any:
    """What is at `module:name`; the working folder is searched last, for a user's own. Raises ValueError with the
    reason."""
    module, _, name = use.partition(":")
    if "" not in sys.path:
        sys.path.append("")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:  # a user's own module may raise anything
        raise ValueError(f"{type(error).__name__}: {error}") from error


class StageTypes(NamedTuple):
    """What a stage takes, what it gives, and the model of its settings."""

    takes: type
    gives: type
    settings: type[Settings]


def stage_types(cls: type[Stage[Any, Any, Any]]) -> StageTypes:
    """The type arguments of a stage, named by its class or one that it derives from.

    Settings that a class leaves open are those that it allows at least. Raises TypeError if a record type is left open.
    """
    takes, gives, settings = _arguments(cls)
    if isinstance(settings, TypeVar):
        settings = settings.__bound__
    if not (isinstance(takes, type) and isinstance(gives, type)):
        raise TypeError(f"{cls.__name__} does not say which records it takes and gives")
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        raise TypeError(f"{cls.__name__} has settings that are no stages.base.Settings")
    return StageTypes(takes, gives, settings)


def _arguments(cls: type) -> tuple[Any, ...]:
    """In, Out and S of a stage; what the class leaves open stays a type variable."""
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        generic = get_origin(base) or base
        if generic is Stage:
            return get_args(base) or (In, Out, S)
        if isinstance(generic, type) and issubclass(generic, Stage):
            given = dict(zip(getattr(generic, "__parameters__", ()), get_args(base), strict=False))
            return tuple(given.get(argument, argument) for argument in _arguments(generic))
    return In, Out, S


def loads(cls: type[Stage[Any, Any, Any]]) -> bool:
    """Whether a worker of the stage has something to load before its first record."""
    return cls.setup is not Stage.setup


def draw(seed: int, dialogue_id: str, purpose: str) -> random.Random:
    """Randomness for one purpose in one dialogue, the same wherever and whenever it is drawn."""
    key = hashlib.sha256(f"{seed}\x1f{dialogue_id}\x1f{purpose}".encode()).digest()
    return random.Random(int.from_bytes(key[:16], "big"))


def poisson(expected: float, random: random.Random) -> int:
    """How many of what happens so often on average."""
    number, time = 0, random.expovariate(1)
    while time < expected:
        number, time = number + 1, time + random.expovariate(1)
    return number


def picked(places: Sequence[int], share: float, place_share: float, random: random.Random) -> list[int]:
    """The places of a dialogue where something happens: none in most dialogues, by `share`; in others some, one at
    least."""
    if not places or random.random() >= share:
        return []
    return [place for place in places if random.random() < place_share] or [random.choice(places)]


def reject(dialogue: Dialogue, stage: str, error: BadDialogue) -> Rejected:
    return Rejected(dialogue.id, dialogue.source, stage, error.reason, str(error))
