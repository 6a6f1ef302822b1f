"""The plan of a build: which dialogues make which shard. Fixed before the work, so that any worker can do any shard."""

from dataclasses import dataclass
from importlib.metadata import version

from manifests.corpus import FORMAT_VERSION
from manifests.records import SPLITS, Dialogue, Rejected
from pipeline.recipe import Recipe
from stages.ingest import Ingestion

LIBRARIES = (
    "salm-duplex",
    "espeakng-loader",
    "lhotse",
    "matplotlib",
    "nemo_text_processing",
    "numpy",
    "pyarrow",
    "pynini",
    "soundfile",
    "soxr",
    "torch",
)
"""What the bytes of a corpus depend on, beside the recipe and the input."""


@dataclass(frozen=True, slots=True)
class Shard:
    name: str
    split: str
    dialogues: tuple[Dialogue, ...]


@dataclass(frozen=True, slots=True)
class Ingested:
    """An ingestion that has come to its end."""

    dialogues: list[Dialogue]
    rejected: list[Rejected]
    fingerprints: dict[str, str]
    read: int


def gather(ingestion: Ingestion) -> Ingested:
    results = list(ingestion)
    return Ingested(
        [result for result in results if isinstance(result, Dialogue)],
        [result for result in results if isinstance(result, Rejected)],
        ingestion.fingerprints,
        ingestion.read,
    )


def plan_shards(ingested: Ingested, shard_size: int) -> list[Shard]:
    """Cut each split, in input order, into shards of `shard_size` dialogues."""
    shards = []
    for split in SPLITS:
        own = [d for d in ingested.dialogues if d.split == split]
        for number, at in enumerate(range(0, len(own), shard_size)):
            shards.append(Shard(f"{split}-{number:06d}", split, tuple(own[at : at + shard_size])))
    return shards


def library_versions() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def identity(recipe: Recipe, fingerprints: dict[str, str], limit: int | None) -> dict[str, object]:
    """What makes two builds the same build."""
    return {
        "format_version": FORMAT_VERSION,
        "recipe": recipe.as_dict(),
        "inputs": fingerprints,
        "limit": limit,
        "versions": library_versions(),
    }
