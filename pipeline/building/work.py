"""A worker's job for a shard: neighboring stages of the recipe, one after the other, in one process.

A stage that raises costs only the dialogue it raised for, not the shard: the shard's dialogues are processed again
one by one. A stage that hangs can't be interrupted from inside: the worker leaves a note of where it was and ends its
process. The next worker to take the shard reads the note and finds the dialogue in the same way.

    .build/hung/SHARD/STAGE           the stage did not finish this shard in time
    .build/hung/SHARD/STAGE@ID        nor this dialogue by itself
"""

import os
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from manifests.errors import WorkError
from manifests.records import Record, Rejected, dialogue_of
from manifests.store import Store
from pipeline.building.parcel import Failure, Parcel
from pipeline.recipe import StageSpec
from stages.base import Stage

HUNG = ".build/hung"
FAILED = "stage_failed"
"""The reason code of a dialogue on which a stage raised or hung."""
HUNG_EXIT = 75
"""The exit code of a worker that ended itself: EX_TEMPFAIL."""
BATCH_ALLOWANCE = 10
"""A shard of n dialogues may take n / 10 times the limit of one dialogue: few need all of their time."""


class Chain:
    """Neighboring stages, set up once and kept; a failing set-up is reported by the first shard."""

    def __init__(self, specs: Sequence[StageSpec], seed: int, store: Store | None) -> None:
        """`store` keeps the notes on what hung; without one, in the command's own process, nothing is terminated."""
        self._specs = specs
        self._seed = seed
        self._store = store
        self._stages: list[Stage[Any, Any, Any]] = []

    def run(self, parcel: Parcel) -> Parcel:
        """The parcel after these stages; with a `failure` if the shard can't be made."""
        if parcel.failure is None:
            parcel.failure = self._set_up() or self._process(parcel)
        if parcel.failure:
            parcel.records = []
        return parcel

    def _set_up(self) -> Failure | None:
        for spec in self._specs[len(self._stages) :]:
            try:
                self._stages.append(spec.make(self._seed))
            except Exception as error:
                return Failure.of(spec.name, error, "setup failed: ")
        return None

    def _process(self, parcel: Parcel) -> Failure | None:
        hung = set(self._store.names(f"{HUNG}/{parcel.shard}")) if self._store else set()
        for spec, stage in zip(self._specs, self._stages, strict=True):
            started = time.perf_counter()
            try:
                self._apply(spec, stage, parcel, hung)
                parcel.made_by[spec.name] = stage.made_by()
            except Exception as error:
                return Failure.of(spec.name, error)
            parcel.seconds[spec.name] = round(time.perf_counter() - started, 4)
        return None

    def _apply(self, spec: StageSpec, stage: Stage[Any, Any, Any], parcel: Parcel, hung: set[str]) -> None:
        if not parcel.records:
            return
        results: Sequence[Record | Rejected] | None = None
        if spec.name not in hung:
            allowed = spec.resources.timeout_s * max(1, len(parcel.records) // BATCH_ALLOWANCE)
            try:
                with self._ended_after(allowed, parcel.shard, spec.name):
                    results = _checked(stage.process(parcel.records), len(parcel.records))
            except WorkError:
                raise
            except Exception:
                results = None
        if results is None:
            results = [self._alone(spec, stage, record, parcel.shard, hung) for record in parcel.records]
        parcel.records = [result for result in results if not isinstance(result, Rejected)]
        parcel.rejected += [result for result in results if isinstance(result, Rejected)]

    def _alone(
        self, spec: StageSpec, stage: Stage[Any, Any, Any], record: Record, shard: str, hung: set[str]
    ) -> Record | Rejected:
        id = dialogue_of(record).id
        note = f"{spec.name}@{id}"
        if note in hung:
            message = f"The stage '{spec.name}' did not finish within {spec.resources.timeout_s:g} s."
            return _failed(record, spec.name, message, "")
        try:
            with self._ended_after(spec.resources.timeout_s, shard, note):
                return _checked(stage.process([record]), 1)[0]
        except WorkError:
            raise
        except Exception as error:
            message = f"The stage '{spec.name}' raised {type(error).__name__}: {error}"
            return _failed(record, spec.name, message, traceback.format_exc())

    @contextmanager
    def _ended_after(self, seconds: float, shard: str, note: str) -> Iterator[None]:
        """End this process if the block takes longer, and leave a note."""
        store = self._store
        if store is None:
            yield
            return

        def end() -> None:
            try:
                store.write(f"{HUNG}/{shard}/{note}", b"")
            finally:
                os._exit(HUNG_EXIT)

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _checked(results: Sequence[Record | Rejected], wanted: int) -> Sequence[Record | Rejected]:
    if len(results) != wanted:
        raise RuntimeError(f"it returned {len(results)} items for {wanted} records")
    return results


def _failed(record: Record, stage: str, message: str, trace: str) -> Rejected:
    dialogue = dialogue_of(record)
    return Rejected(dialogue.id, dialogue.source, stage, FAILED, message, trace)
