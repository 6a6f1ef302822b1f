"""Where a build's time goes: every stage over the bundled dialogues, in this process, one after the other.

    python tests/benchmarks/stage_speed.py [DIALOGUES]

Prints each stage's share of the whole and how many seconds of dialogue it makes a second. Shares are taken in one run, so
they hold on a busy machine too; the speeds are this machine's.
"""

import sys
import tempfile
import time
from pathlib import Path

from manifests.records import Dialogue, DuplexDialogue, Rejected
from pipeline.codec import BUNDLED_DIALOGUES
from pipeline.recipe import load_recipe
from stages.ingest import ingest
from stages.pack import pack


def main(source: str) -> None:
    recipe = load_recipe()
    spent: dict[str, float] = {}
    begun = time.perf_counter()
    records: list = [r for r in ingest([source], recipe.ingest, recipe.seed) if isinstance(r, Dialogue)]
    spent["ingest"] = time.perf_counter() - begun
    for spec in recipe.stages:
        stage = spec.make(recipe.seed)
        begun = time.perf_counter()
        records = [record for record in stage.process(records) if not isinstance(record, Rejected)]
        spent[spec.name] = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        pack(Path(folder), 0, records, [], {"seed": recipe.seed, "recipe": recipe.id})
        spent["pack"] = time.perf_counter() - begun
    assert all(isinstance(record, DuplexDialogue) for record in records)
    seconds = sum(record.timeline.frames for record in records) * 0.08
    whole = sum(spent.values())
    print(f"{len(records)} dialogues, {seconds:.0f} s of dialogue")
    for name, took in spent.items():
        print(f"{name:<11}{took / whole:6.1%} of the time, {seconds / max(took, 1e-9):8.0f} × real time")
    print(f"{'all':<11}{1:6.1%} of the time, {seconds / whole:8.0f} × real time on one core")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(BUNDLED_DIALOGUES))
