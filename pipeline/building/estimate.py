"""Estimates of a build's cost, from the rates of a sample built here or from a finished corpus's run log."""

import heapq
import multiprocessing
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory

from manifests.corpus import Corpus
from manifests.errors import RequestError, WorkError
from manifests.records import Dialogue
from manifests.store import Store
from pipeline.building.parcel import Parcel
from pipeline.building.plan import Plan, read_planned
from pipeline.building.publish import Done, open_scratch, publish_shard
from pipeline.building.shard_cuts import PlannedShard, estimated_seconds
from pipeline.building.work import Chain
from pipeline.recipe import Recipe

BLOCKS = 2
"""Blocks of the sample per worker: enough to average over a shared machine's changes of speed."""
BLOCK = 40
"""Dialogues per block. They are consecutive in the plan, since takes of one dialogue share work, and as many as fit
into a shard."""
SHARED = 1.09
"""A stage takes this much longer in a build than in the sample, since Ray's processes and the driver share the cores."""
WARM_UP = 2
"""Warm-up dialogues, which fill caches and are not counted."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates: core seconds by stage and bytes on disk, per hour of dialogue.

    `dialogue_s` is the mean length of a dialogue, `text_ratio` the ratio of actual duration to the duration expected
    from the text, `start_s` a worker's time to load models and data."""

    core_s_per_hour: Mapping[str, float]
    bytes_per_hour: float
    dialogue_s: float
    text_ratio: float = 1.0
    start_s: float = 0.0

    @property
    def core_hours_per_hour(self) -> float:
        return sum(self.core_s_per_hour.values()) / 3600


@dataclass(frozen=True, slots=True)
class Estimate:
    hours: float
    """Of dialogue."""
    disk_bytes: float
    core_hours: float
    seconds: float
    """From start to finished corpus."""


def rates_of(corpus: Corpus) -> Rates:
    """The rates of the run that built most of a finished corpus; raises `RequestError` if its log has none."""
    runs = [run for run in corpus.info.get("run_log", []) if run.get("audio_s")]
    if not runs:
        raise RequestError(f"The run log of {corpus} records no work; name a corpus made by `salm-duplex build`.")
    run = max(runs, key=lambda run: run["audio_s"])
    hours = run["audio_s"] / 3600
    spent = {stage: seconds / hours for stage, seconds in run["stage_seconds"].items()}
    return Rates(spent, run["bytes"] / hours, corpus.info["statistics"]["dialogue_s"]["mean"])


def measured_rates(recipe: Recipe, store: Store, plan: Plan, workers: int) -> Rates:
    """Build a sample of a plan, in parallel in as many processes as the build will have, and discard it.

    Cores that share caches and clock are slower together than one alone, so the processes run simultaneously.
    """
    blocks = _sample(store, plan, workers * BLOCKS)
    if not blocks:
        raise RequestError("The plan has no dialogues to measure; name more input.")
    context = multiprocessing.get_context("spawn")
    workers = max(1, min(workers, len(blocks)))
    barrier = context.Barrier(workers)
    with TemporaryDirectory(prefix="salm-duplex-") as folder:
        started = []
        for number in range(workers):
            mine, theirs = context.Pipe()
            own = blocks[number::workers]
            process = context.Process(target=_measure, args=(recipe, own, f"{folder}/{number}", barrier, theirs))
            process.start()
            theirs.close()
            started.append((process, mine))
        found = [_received(connection) for _, connection in started]
        for process, _ in started:
            process.join()
    done = [each for one in found for each in one.done]
    audio_s = sum(one.audio_s for one in done)
    spent: Counter[str] = Counter()
    for one in done:
        spent.update(one.seconds)
    if not audio_s:
        raise WorkError("No dialogue of the sample could be built; build a few with --limit to see why.")
    hours = audio_s / 3600
    return Rates(
        {stage: SHARED * seconds / hours for stage, seconds in spent.items()},
        sum(one.bytes for one in done) / hours,
        audio_s / sum(one.kept for one in done),
        audio_s / sum(one.expected_s for one in found),
        max(one.start_s for one in found),
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    done: list[Done]
    expected_s: float
    start_s: float


def _measure(recipe: Recipe, blocks: Sequence[list[Dialogue]], folder: str, barrier: Barrier, out: Connection) -> None:
    started = time.perf_counter()
    chain = Chain(recipe.stages, recipe.seed, None)
    chain.run(Parcel("train-000000", blocks[0][:WARM_UP]))
    start_s = time.perf_counter() - started
    barrier.wait()
    Path(folder).mkdir()
    store = Store(folder)
    open_scratch(store)
    done = []
    for number, block in enumerate(blocks):
        parcel = chain.run(Parcel(f"train-{number:06}", list(block)))
        if parcel.failure:
            out.send(f"The stage '{parcel.failure.stage}' failed on the sample: {parcel.failure.reason}")
            return
        done.append(publish_shard(store, parcel, {"seed": recipe.seed, "recipe": recipe.id}))
    out.send(_Measured(done, sum(estimated_seconds(one) for block in blocks for one in block), start_s))


def _received(connection: Connection) -> _Measured:
    try:
        answer = connection.recv()
    except EOFError:
        answer = "A process that measured the sample crashed; build a few dialogues with --limit to see why."
    if not isinstance(answer, _Measured):
        raise WorkError(str(answer))
    return answer


def _sample(store: Store, plan: Plan, most: int) -> list[list[Dialogue]]:
    """Blocks of consecutive dialogues, spread evenly over the plan."""
    starts = sorted({number * plan.dialogues // most for number in range(most)})
    size = min(BLOCK, -(-plan.dialogues // most))
    blocks, at = [], 0
    for shard in plan.shards:
        inside = [start - at for start in starts if at <= start < at + shard.dialogues]
        if inside:
            dialogues = read_planned(store, shard.name)
            firsts = (min(start, max(0, shard.dialogues - size)) for start in inside)
            blocks += [dialogues[first : first + size] for first in firsts]
        at += shard.dialogues
    return blocks


def estimate_plan(plan: Plan, rates: Rates, workers: int, overhead_s: float) -> Estimate:
    """Each shard goes to the first free worker, as in the build."""
    hours = sum(shard.seconds for shard in plan.shards) * rates.text_ratio / 3600
    longest = _longest(plan.shards, workers) * rates.text_ratio / 3600
    seconds = overhead_s + rates.start_s + longest * rates.core_hours_per_hour * 3600
    return Estimate(hours, hours * rates.bytes_per_hour, hours * rates.core_hours_per_hour, seconds)


def _longest(shards: Sequence[PlannedShard], workers: int) -> float:
    """The seconds of dialogue built by the busiest worker."""
    busy = [0.0] * max(1, workers)
    for shard in shards:
        heapq.heapreplace(busy, busy[0] + shard.seconds)
    return max(busy)


def estimate_hours(hours: float, rates: Rates, cores: int, efficiency: float) -> Estimate:
    """The estimate for this many hours of dialogue on this many cores, used with this efficiency."""
    core_hours = hours * rates.core_hours_per_hour
    return Estimate(hours, hours * rates.bytes_per_hour, core_hours, core_hours / (cores * efficiency) * 3600)
