"""pack: tokenized dialogues → one Shar shard with its rows of the Parquet tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from manifests.records import Rejected, TokenizedDialogue
from manifests.shards import write_shard
from manifests.table import write_dialogues, write_rejected
from stages.base import Settings

DIALOGUES, REJECTED = "dialogues.parquet", "rejected.parquet"


class PackSettings(Settings):
    shard_size: int = Field(default=50, ge=1, le=10_000, description="dialogues per shard, before rejections")
    shard_mb: int = Field(
        default=256,
        ge=1,
        description="uncompressed audio per shard in MB, estimated from the text; a shard ends at this or at shard_size, "
        "whichever comes first",
    )


def pack(
    directory: Path,
    number: int,
    records: Sequence[TokenizedDialogue],
    rejected: Sequence[Rejected],
    provenance: dict[str, Any],
) -> None:
    """Write a shard and its tables into an existing folder; a shard without any remaining dialogues has only tables.

    `provenance` (the seed, the recipe's id) goes into every cut and row.
    """
    if records:
        write_shard(directory, number, records, provenance)
    write_dialogues(directory / DIALOGUES, records, provenance | {"shard": number})
    write_rejected(directory / REJECTED, rejected)
