"""What a stage is: a small class that turns a batch of records into as many records or rejections."""

import hashlib
import random
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from manifests.records import BadDialogue, Dialogue, Rejected


class Settings(BaseModel):
    """A stage's section of the recipe; an unknown key is an error."""

    # Defaults are validated too, so that a float left at its default and one written out are the same value.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Resources(Settings):
    """What one worker of a stage needs; Ray schedules by it."""

    cpus: float = Field(default=0.2, gt=0, description="cores (a share where a stage is light)")
    gpus: float = Field(default=0, ge=0, description="GPUs, or a share of one")
    concurrency: int | None = Field(default=None, ge=1, description="workers at most; default: one per build worker")


class Stage:
    """The surface that the pipeline knows; the embedded stages and a class of yours (`use: module:Class`) share it.

    A stage's result must depend on the records, the settings and the seed alone: not on what was processed before it, by
    which worker, or when.
    """

    Settings: ClassVar[type[Settings]] = Settings
    """What its section of the recipe may hold."""
    resources: ClassVar[Resources] = Resources()

    def __init__(self, settings: Any, seed: int) -> None:
        self.settings = settings
        self.seed = seed

    @property
    def loads(self) -> bool:
        """True where `setup` loads something worth keeping: the stage then lives in a pool of actors. Most stages simply
        have `loads = True`."""
        return False

    def setup(self) -> None:
        """Load what is needed, once per worker."""

    def made_by(self) -> dict[str, str]:
        """What the result depends on beside the recipe (a checkpoint's hash, a device), for `corpus.json`."""
        return {}

    def process(self, records: Sequence[Any]) -> list[Any]:
        """One item per record, in order: the record of the next stage, or a `Rejected`."""
        raise NotImplementedError


def draw(seed: int, dialogue_id: str, purpose: str) -> random.Random:
    """Randomness for one purpose in one dialogue, the same wherever and whenever it is drawn."""
    key = hashlib.sha256(f"{seed}\x1f{dialogue_id}\x1f{purpose}".encode()).digest()
    return random.Random(int.from_bytes(key[:16], "big"))


def reject(dialogue: Dialogue, stage: str, error: BadDialogue) -> Rejected:
    return Rejected(dialogue.id, dialogue.source, stage, error.reason, str(error))
