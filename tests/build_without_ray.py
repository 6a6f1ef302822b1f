"""`build` without Ray, for tests and benchmarks of what is built and not of who builds it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

from manifests.store import Store
from pipeline.building import driver
from pipeline.building.parcel import Parcel
from pipeline.building.plan import read_planned
from pipeline.building.publish import Done, publish_shard
from pipeline.building.shard_cuts import PlannedShard
from pipeline.building.work import Chain
from pipeline.recipe import Recipe

Perform = Callable[[Sequence[PlannedShard], Recipe, Store, int | None], Iterator[Done]]


def make_shard(chain: Chain, recipe: Recipe, store: Store, name: str) -> Done:
    parcel = chain.run(Parcel(name, read_planned(store, name)))
    assert parcel.failure is None, parcel.failure
    return publish_shard(store, parcel, {"seed": recipe.seed, "recipe": recipe.id})


def perform_here(shards: Sequence[PlannedShard], recipe: Recipe, store: Store, workers: int | None) -> Iterator[Done]:
    """`pipeline.building.perform` in this process."""
    chain = Chain(recipe.stages, recipe.seed, None)
    for shard in shards:
        yield make_shard(chain, recipe, store, shard.name)


@contextmanager
def without_ray(perform: Perform = perform_here) -> Iterator[None]:
    """Within it, `build` makes its shards by `perform` and starts no cluster."""
    with patch.multiple(driver, perform=perform, RayInTheShade=_NoRay):
        yield


class _NoRay(nullcontext):
    def __init__(self, workers: int | None) -> None:
        super().__init__(self)

    def begin(self) -> None: ...

    def wait(self) -> None: ...
