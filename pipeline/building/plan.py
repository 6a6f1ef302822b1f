"""Plan: which dialogues go into which shard, fixed before the work, so that any worker can build any shard.

    .build/plan/train-000003.parquet        the dialogues of one shard
    .build/tables/ingest-*.rejected.parquet  the dialogues rejected by ingest
    .build/plan.json                        the shards in order, and the build's identity; written last

Dialogues are streamed in input order and written as soon as a shard is full, so the driver holds at most one shard per
split, however large the input is.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from manifests.errors import RequestError
from manifests.progress import Progress
from manifests.records import SPLITS, Dialogue, Rejected
from manifests.store import Store
from manifests.table import write_rejected
from pipeline.building.identity import identity
from pipeline.building.publish import TABLES
from pipeline.building.shard_cuts import PlannedShard, ShardCutter
from pipeline.recipe import Recipe
from pipeline.voices import check_stages
from stages.ingest import ingest

PLAN, INDEX = ".build/plan", ".build/plan.json"

_REJECTED_ROWS = 10_000
"""Number of rejected dialogues buffered before they are written."""
_DIALOGUE = TypeAdapter(Dialogue)
_SCHEMA = pa.schema([("id", pa.string()), ("dialogue", pa.large_string())])


@dataclass(frozen=True, slots=True)
class Plan:
    """The build's identity, its shards in order, the number of input records, how many of them ingest rejected, and what
    it did not use of the rest."""

    identity: dict[str, object]
    shards: tuple[PlannedShard, ...]
    read: int
    rejected: int
    not_used: dict[str, int] = field(default_factory=dict)
    """Counts by name, most frequent first; see `Ingestion.not_used`."""

    @property
    def dialogues(self) -> int:
        return sum(shard.dialogues for shard in self.shards)


def make_plan(
    inputs: Sequence[str],
    recipe: Recipe,
    limit: int | None,
    store: Store,
    progress: Progress,
    first: Callable[[], None] = lambda: None,
) -> Plan:
    """Read all input and write the plan. `first` is called with the first dialogue.

    Raises `UnreadableInput`, and `RequestError` if a voice named in the input can't be used.
    """
    store.remove(PLAN)
    store.remove(TABLES)
    planner = _Planner(store, recipe)
    records = ingest(inputs, recipe.ingest, recipe.seed, limit)
    for number, record in enumerate(records):
        if isinstance(record, Rejected):
            planner.refuse(record)
        else:
            if planner.empty:
                first()
            planner.add(record)
        if number and number % 10_000 == 0:
            progress(number, 0, "reading the dialogues")
    planner.finish()
    check_stages(recipe, planner.voices)
    shards = tuple(shard for split in SPLITS for shard in planner.shards if shard.split == split)
    plan = Plan(
        identity(recipe, records.fingerprints, limit),
        shards,
        records.read,
        planner.rejected,
        most_first(records.not_used),
    )
    _save(store, plan)
    return plan


class _Planner:
    """Writes the plan's shards, and the tables of rejected dialogues, as they fill up."""

    def __init__(self, store: Store, recipe: Recipe) -> None:
        self._store = store
        self._cutter: ShardCutter[tuple[str, str]] = ShardCutter(recipe.pack)
        self._refused: list[Rejected] = []
        self.shards: list[PlannedShard] = []
        self.rejected = 0
        self.voices: set[str] = set()
        """The voices named in the input."""
        self.empty = True

    def add(self, dialogue: Dialogue) -> None:
        self.empty = False
        self.voices |= {turn.voice for turn in dialogue.turns if turn.voice and not turn.recording}
        text = _DIALOGUE.dump_json(dialogue, exclude_defaults=True).decode()
        if full := self._cutter.add(dialogue, (dialogue.id, text)):
            self._write(*full)

    def refuse(self, rejected: Rejected) -> None:
        self._refused.append(rejected)
        self.rejected += 1
        if len(self._refused) == _REJECTED_ROWS:
            self._write_refused()

    def finish(self) -> None:
        for shard, rows in self._cutter.rest():
            self._write(shard, rows)
        if self._refused:
            self._write_refused()

    def _write(self, shard: PlannedShard, rows: list[tuple[str, str]]) -> None:
        ids, dialogues = zip(*rows, strict=True)
        table = pa.table([pa.array(ids), pa.array(dialogues, pa.large_string())], schema=_SCHEMA)
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self._store.write(f"{PLAN}/{shard.name}.parquet", sink.getvalue().to_pybytes())
        self.shards.append(shard)

    def _write_refused(self) -> None:
        write_refused(self._store, self._refused, (self.rejected - 1) // _REJECTED_ROWS)
        self._refused.clear()


def most_first(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by name, largest first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def write_refused(store: Store, rejected: Sequence[Rejected], part: int = 0) -> None:
    """A table of dialogues that were rejected before any shard was made."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rejected.parquet"
        write_rejected(path, rejected)
        store.write(f"{TABLES}/ingest-{part:06d}.rejected.parquet", path.read_bytes())


def read_planned(store: Store, shard: str) -> list[Dialogue]:
    """The dialogues of one shard of the plan."""
    table = pq.read_table(pa.BufferReader(store.read(f"{PLAN}/{shard}.parquet")))
    return [_DIALOGUE.validate_json(text) for text in table.column("dialogue").to_pylist()]


def _save(store: Store, plan: Plan) -> None:
    shards = [astuple(shard) for shard in plan.shards]
    index = {"identity": plan.identity, "shards": shards, "read": plan.read, "rejected": plan.rejected}
    index["not_used"] = plan.not_used
    store.write(INDEX, json.dumps(index).encode())


def load_plan(store: Store) -> Plan | None:
    """The plan of an unfinished build; None if there is none, or if planning was not completed."""
    try:
        index = json.loads(store.read(INDEX))
        shards = tuple(PlannedShard(*shard) for shard in index["shards"])
        return Plan(index["identity"], shards, index["read"], index["rejected"], index.get("not_used", {}))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{store.at(INDEX)} can't be read ({error}); name another --out.") from None
