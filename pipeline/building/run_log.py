"""The run log: what each run of a build did. It survives kills, and ends up in `corpus.json`.

.build/runs/NNN.json               a run; without `finished` if it was killed
.build/attempts/SHARD@WORKER       a worker started the shard: more than one per shard means that a worker was lost
"""

import json
import socket
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from manifests.store import Store
from pipeline.building.publish import Done

RUNS, ATTEMPTS = ".build/runs", ".build/attempts"


@dataclass(slots=True)
class Run:
    """One run of the command. No other part of a corpus contains clock times."""

    store: Store
    name: str
    facts: dict[str, Any]
    built: int = 0
    kept: int = 0
    failed: int = 0
    _seconds: Counter[str] = field(default_factory=Counter)
    _audio_s: float = 0.0
    _bytes: int = 0

    @classmethod
    def begin(cls, store: Store, shards_found: int) -> "Run":
        facts = {"started": _now(), "host": socket.gethostname(), "shards_found": shards_found}
        run = cls(store, f"{len(store.names(RUNS)):03d}", facts)
        run._save()
        return run

    def add(self, done: Done) -> None:
        self.built += 1
        self.kept += done.kept
        self.failed += done.failed
        self._seconds.update(done.seconds)
        self._audio_s += done.audio_s
        self._bytes += done.bytes

    def end(self, how: str) -> None:
        """`how`: "finished", or the error message with which it stopped."""
        spent = {stage: round(seconds, 2) for stage, seconds in self._seconds.items()}
        self.facts |= {"finished": _now(), "how": how, "shards_built": self.built}
        self.facts |= {"audio_s": round(self._audio_s, 2), "bytes": self._bytes, "stage_seconds": spent}
        self._save()

    def _save(self) -> None:
        self.store.write(f"{RUNS}/{self.name}.json", json.dumps(self.facts).encode())


def note_attempt(store: Store, shard: str, stage: str) -> None:
    store.write(f"{ATTEMPTS}/{shard}.{stage}@{socket.gethostname()}-{uuid.uuid4().hex[:8]}", b"")


def run_log(store: Store) -> list[dict[str, Any]]:
    """All runs of a build, in order; the last one lists the shards that were started more than once."""
    names = [f"{RUNS}/{name}" for name in store.names(RUNS)]
    runs: list[dict[str, Any]] = [json.loads(content) for content in store.read_many(names)]
    begun = Counter(name.partition("@")[0] for name in store.names(ATTEMPTS))
    again = {shard: number for shard, number in sorted(begun.items()) if number > 1}
    return [*runs[:-1], runs[-1] | {"begun_more_than_once": again}]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
