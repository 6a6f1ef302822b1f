"""`build --dry-run` and `plan`: what a build would make, from the real plan of the input and a measured sample."""

import math
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from manifests.progress import Progress
from manifests.store import Store
from pipeline.building.estimate import Estimate, Rates, estimate_plan, measured_rates
from pipeline.building.plan import make_plan
from pipeline.building.shard_cuts import BYTES_PER_SECOND
from pipeline.recipe import Recipe
from stages.pack import PackSettings

OVERHEAD_S = 15.0
"""A build's time besides its shards: imports, starting Ray, then tables, card and report, and stopping Ray."""


@dataclass(frozen=True, slots=True)
class DryRun:
    dialogues: dict[str, int]
    rejected: int
    not_used: dict[str, int]
    shards: int
    estimate: Estimate


def dry_run(
    inputs: Sequence[str], recipe: Recipe, workers: int | None, limit: int | None, progress: Progress
) -> DryRun:
    """Plan a build and measure a sample of it in a temporary folder."""
    with TemporaryDirectory(prefix="salm-duplex-") as folder:
        store, number = Store(folder), workers or os.cpu_count() or 1
        started = time.perf_counter()
        plan = make_plan(inputs, recipe, limit, store, progress)
        planned_s = time.perf_counter() - started
        progress(0, 0, "measuring a sample")
        rates = measured_rates(recipe, store, plan, number)
    split: Counter[str] = Counter()
    for shard in plan.shards:
        split[shard.split] += shard.dialogues
    estimate = estimate_plan(plan, rates, number, OVERHEAD_S + planned_s)
    return DryRun(dict(split), plan.rejected, plan.not_used, len(plan.shards), estimate)


def rates_here(inputs: Sequence[str], recipe: Recipe, workers: int | None, progress: Progress) -> Rates:
    """The rates of a sample of the input, measured on this machine."""
    with TemporaryDirectory(prefix="salm-duplex-") as folder:
        store = Store(folder)
        plan = make_plan(inputs, recipe, None, store, progress)
        progress(0, 0, "measuring a sample")
        return measured_rates(recipe, store, plan, workers or os.cpu_count() or 1)


def shards_for(hours: float, dialogue_s: float, pack: PackSettings) -> int:
    """The approximate number of shards for this many hours of dialogues of this mean length."""
    by_size = pack.shard_mb * 2**20 / BYTES_PER_SECOND
    return math.ceil(hours * 3600 / min(pack.shard_size * dialogue_s, by_size))
