"""How well a build uses the machine, compared with the same stages in a plain loop.

    python tests/benchmarks/build_speed.py [INPUT...] [--limit N] [--out FILE.json]

All figures are ratios of times measured one after the other in the same run, so run it on an otherwise idle machine.

    efficiency        plain loop ÷ (wall × workers): 1 for a build without overhead
    two_to_one        one worker's time ÷ two workers' time
    share             share of the loop, by stage
    finding           building a finished corpus again, which only reads and compares the input
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from manifests.progress import silent
from manifests.store import Store
from pipeline.building.parcel import Parcel
from pipeline.building.plan import make_plan, read_planned
from pipeline.building.publish import open_scratch, publish_shard
from pipeline.building.work import Chain
from pipeline.recipe import load_recipe

BUNDLED = Path(__file__).parents[2] / "pipeline" / "data" / "dialogues.jsonl"


def plain_loop(inputs: list[str], limit: int | None, folder: Path, overrides: list[str]) -> tuple[float, Counter[str]]:
    """Seconds of the build's own work in one process without Ray, in total and by stage."""
    recipe, store = load_recipe(None, overrides), Store(folder)
    chain = Chain(recipe.stages, recipe.seed, None)
    warm = make_plan([str(BUNDLED)], recipe, 2, Store(folder / "warm"), silent, lambda: None)
    chain.run(Parcel("train-000000", read_planned(Store(folder / "warm"), warm.shards[0].name)))
    open_scratch(store)
    spent: Counter[str] = Counter()
    started = time.perf_counter()
    plan = make_plan(inputs, recipe, limit, store, silent, lambda: None)
    spent["plan"] = time.perf_counter() - started
    for shard in plan.shards:
        parcel = chain.run(Parcel(shard.name, read_planned(store, shard.name)))
        assert parcel.failure is None, parcel.failure
        spent.update(publish_shard(store, parcel, {"seed": 0, "recipe": ""}).seconds)
    return time.perf_counter() - started, spent


def timed_build(inputs: list[str], limit: int | None, out: Path, workers: int, overrides: list[str]) -> float:
    arguments = [*inputs, "--out", str(out), "--workers", str(workers), "--json"]
    arguments += ["--limit", str(limit)] if limit else []
    arguments += [part for override in overrides for part in ("--set", override)]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pipeline.cli", "build", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", default=[str(BUNDLED)])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loop_s, spent = plain_loop(given.inputs, given.limit, folder / "loop", given.overrides)
        shutil.rmtree(folder / "loop")
        walls = {n: timed_build(given.inputs, given.limit, folder / str(n), n, given.overrides) for n in (1, 2)}
        found_s = timed_build(given.inputs, given.limit, folder / "2", 2, given.overrides)
        info = json.loads((folder / "2" / "corpus.json").read_text())
        hours = info["statistics"]["hours"]
        few_s = timed_build([str(BUNDLED)], 14, folder / "few", 2, [])
        help_s = min(timed(["--help"]) for _ in range(5))
    whole = sum(spent.values())
    figures = {
        "cores": os.cpu_count(),
        "dialogues": sum(info["statistics"]["dialogues"].values()),
        "hours": hours,
        "loop_times_real_time": hours * 3600 / loop_s,
        "efficiency": loop_s / (walls[2] * 2),
        "efficiency_one_worker": loop_s / walls[1],
        "two_to_one": walls[1] / walls[2],
        "finding": found_s / walls[2],
        "share": {stage: seconds / whole for stage, seconds in spent.most_common()},
        "seconds": {
            "loop": loop_s,
            "one": walls[1],
            "two": walls[2],
            "found": found_s,
            "fourteen_dialogues": few_s,
            "help": help_s,
        },
    }
    for key, value in figures.items():
        print(f"{key:24}", value if not isinstance(value, dict) else {k: round(v, 3) for k, v in value.items()})
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n")


def timed(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pipeline.cli", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
