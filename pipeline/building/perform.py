"""Perform: the plan's shards through the recipe's stages on Ray Data.

A row is a shard. Stages with the same resources run fused in one process; between two pools, as from CPU to GPU, a
shard is passed as an Arrow table. The last pool writes it. `ray.data.checkpoint` (2.60) filters only after read
operators and by an id that outlives every operator; a shard written again has the same bytes, and its marker is
simpler and public."""

import contextlib
import json
import pickle
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from manifests.errors import WorkError
from manifests.store import Store
from pipeline.building import remote
from pipeline.building.cluster import Pool, pools, start_ray
from pipeline.building.parcel import Failure, Parcel, from_table, to_table
from pipeline.building.plan import read_planned
from pipeline.building.publish import Done, finished, publish_shard, read_marker
from pipeline.building.run_log import note_attempt
from pipeline.building.shard_cuts import PlannedShard
from pipeline.building.work import Chain
from pipeline.recipe import Recipe

RETRIES, RESTARTS = 2, 100
"""How often Ray retries a shard whose process died, and how often it restarts a worker in total.
Machines fail occasionally, but a stage's native code may fail every time: by default Ray would retry forever."""
FRUITLESS, SETTLE_S = 2, 5.0
"""How often the remaining shards are restarted without any of them finishing, each time after a pause."""


class PoolWork:
    """One pool's part of the work on a shard: receive it, run the stages, pass it on or write it."""

    def __init__(self, pool: Pool, seed: int, url: str, first: bool, provenance: dict[str, Any] | None) -> None:
        """`provenance` is given to the last pool, which writes."""
        self._specs, self._seed, self._url, self._first, self._provenance = pool.specs, seed, url, first, provenance
        self._store: Store | None = None

    def __call__(self, table: pa.Table) -> pa.Table:
        if self._store is None:
            self._store = Store(self._url)
            self._chain = Chain(self._specs, self._seed, self._store)
        parcel = self._chain.run(self._taken_up(self._store, table))
        if self._provenance is None:
            return to_table(parcel)
        return pa.table({"outcome": [_published(self._store, parcel, self._provenance)]})

    def _taken_up(self, store: Store, table: pa.Table) -> Parcel:
        parcel = Parcel(table.column("item")[0].as_py()) if self._first else from_table(table)
        try:
            note_attempt(store, parcel.shard, self._specs[0].name)
            if self._first:
                parcel.records = read_planned(store, parcel.shard)
        except Exception as error:
            parcel.failure = Failure.of("plan", error)
        return parcel


def _published(store: Store, parcel: Parcel, provenance: dict[str, Any]) -> str:
    """The shard's marker, or the reason why there is none, as JSON."""
    if parcel.failure is None:
        try:
            return json.dumps({"done": asdict(publish_shard(store, parcel, provenance))})
        except Exception as error:
            parcel.failure = Failure.of("pack", error)
    return json.dumps({"shard": parcel.shard, "failure": asdict(parcel.failure)})


def perform(shards: Sequence[PlannedShard], recipe: Recipe, store: Store, workers: int | None) -> Iterator[Done]:
    """Build the shards; yields each one's marker as it is finished. Raises `WorkError`; finished shards are kept.

    A lost machine may use up Ray's own retries before Ray notices the loss: the remaining shards are then restarted.
    """
    import ray

    start_ray(workers)
    lost = (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.ActorDiedError,
        ray.exceptions.ActorUnavailableError,
        ray.exceptions.ObjectLostError,
    )
    left = {shard.name: shard for shard in shards}
    fruitless = 0
    while left:
        before = len(left)
        try:
            for row in _dataset(list(left.values()), recipe, store, workers).iter_rows():
                outcome = json.loads(row["outcome"])
                if "failure" in outcome:
                    raise _failed(outcome["shard"], Failure(**outcome["failure"]), store)
                del left[outcome["done"]["shard"]]
                yield Done(**outcome["done"])
        except lost as error:
            for name in finished(store) & left.keys():  # by workers whose results were lost
                del left[name]
                yield read_marker(store, name)
            fruitless = fruitless + 1 if len(left) == before else 0
            if fruitless == FRUITLESS:
                what = (
                    "A worker process was killed or crashed repeatedly, either out of memory or in a stage's native code; "
                    "see Ray's logs"
                )
                raise stopped(what, str(error), store) from None
            time.sleep(SETTLE_S)
        except ray.exceptions.RayError as error:
            what = f"Ray stopped the build: {str(error).strip().splitlines()[-1]}"
            raise stopped(what, str(error), store) from None


def _dataset(shards: Sequence[PlannedShard], recipe: Recipe, store: Store, workers: int | None) -> Any:
    """The shards as a stream through the recipe's pools, distributed over the current cluster."""
    import ray
    from ray.data import ActorPoolStrategy
    from ray.util.annotations import RayDeprecationWarning

    ray.cloudpickle.register_pickle_by_value(remote)
    cluster = ray.cluster_resources()
    cpus = cluster.get("CPU", 1.0)
    chosen = pools(recipe.stages, cpus, cluster.get("GPU", 0.0), max(1, workers or int(cpus)), len(shards))
    provenance = {"seed": recipe.seed, "recipe": recipe.id}
    dataset = ray.data.from_items([shard.name for shard in shards], override_num_blocks=len(shards))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RayDeprecationWarning)  # no other argument sets the number of retries yet
        for number, pool in enumerate(chosen):
            last = pool is chosen[-1]
            work = PoolWork(pool, recipe.seed, store.absolute, number == 0, provenance if last else None)
            dataset = dataset.map_batches(
                remote.ShardWorker,
                fn_constructor_args=(pickle.dumps(work),),
                batch_size=1,  # a row is a shard
                batch_format="pyarrow",
                zero_copy_batch=True,
                compute=ActorPoolStrategy(size=pool.size, max_tasks_in_flight_per_actor=1 if number == 0 else 2),
                num_cpus=pool.cpus,
                num_gpus=pool.gpus or None,
                max_restarts=RESTARTS,
                max_task_retries=RETRIES,
            )
    return dataset


def _failed(shard: str, failure: Failure, store: Store) -> WorkError:
    return stopped(
        f"The stage '{failure.stage}' failed on the shard {shard}: {failure.reason}", failure.traceback, store
    )


def stopped(what: str, details: str, store: Store) -> WorkError:
    """One sentence on what stopped the build; the traceback goes to a file."""
    where = ""
    with contextlib.suppress(Exception):
        store.write(".build/error.log", details.encode())
        where = f"; the traceback is in {store.at('.build/error.log')}"
    return WorkError(f"{what.rstrip('.')}. Finished shards are kept, and the same command resumes from them{where}.")
