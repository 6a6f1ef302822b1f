"""`salm-duplex build`: the stages streamed over shards by Ray Data, resumable, into a finished corpus.

One row of the Ray dataset is one shard: its dialogues go in as text and come out as files. A shard is written beside
its place and renamed into it when whole, so a folder under `.build/shards` is finished by its mere existence, and a
rerun asks only for those that lack one. (`ray.data.checkpoint` remembers rows by id; it would not keep a shard's files
and its memory of them in step.) When all shards are there, `pipeline.assemble` puts the corpus together.
"""

import json
import logging
import os
import pickle
import shutil
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from manifests.errors import RequestError, WorkError
from manifests.identity import differences, digest
from manifests.records import Rejected
from manifests.sources import UnreadableInput
from pipeline.assemble import assemble
from pipeline.plan import Shard, gather, identity, plan_shards
from pipeline.recipe import Recipe, StageSpec
from pipeline.voices import about_voice, check_stages
from stages.ingest import ingest
from stages.pack import pack

BUILD = ".build"
"""The work folder inside an unfinished corpus; gone once the corpus is whole."""

RETRIES, RESTARTS = 3, 20
"""How often Ray tries a shard again whose process did not live to finish it, and how often it starts a worker again in all.
Machines fail now and then, but a stage's native code may fail each time: by default Ray would try for ever."""

Row = dict[str, Any]
Progress = Callable[[int, int, str], None]
"""Told (shards done, shards in all, what is going on) as the build goes on."""


def build(
    inputs: Sequence[str],
    out: Path,
    recipe: Recipe,
    workers: int | None = None,
    limit: int | None = None,
    progress: Progress = lambda done, total, message: None,
) -> dict[str, Any]:
    """Build (or resume, or confirm) the corpus at `out` and return its `corpus.json`.

    Raises `RequestError` before any work, `WorkError` once it has begun.
    """
    progress(0, 0, "reading the dialogues")
    try:
        ingested = gather(ingest(inputs, recipe.ingest, recipe.seed, limit))
    except UnreadableInput as error:
        raise RequestError(str(error)) from None
    check_stages(recipe, {t.voice for d in ingested.dialogues for t in d.turns if not t.recording})
    this = identity(recipe, ingested.fingerprints, limit)
    if finished := _open_output(out, this):
        return finished
    shards = plan_shards(ingested, recipe.pack.shard_size)
    store = out / BUILD / "shards"
    todo = [shard for shard in shards if not (store / shard.name).is_dir()]
    started = datetime.now(UTC)
    if todo:
        done = len(shards) - len(todo)
        progress(done, len(shards), "starting Ray")
        for name in _run(todo, recipe, store, workers):
            done += 1
            progress(done, len(shards), name)
    progress(len(shards), len(shards), "putting the corpus together")
    run = {
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "shards_built": len(todo),
        "shards_found": len(shards) - len(todo),
    }
    try:
        return assemble(out, store, shards, ingested, this, run, partial(about_voice, recipe))
    except OSError as error:
        raise WorkError(
            f"The corpus at {out} could not be put together: {error}; mend that and run the same again."
        ) from error


def _open_output(out: Path, this: dict[str, object]) -> dict[str, Any] | None:
    """Make the output folder ours, or return the finished corpus that it already holds."""
    finished = out / "corpus.json"
    begun = out / BUILD / "identity.json"
    for known in (finished, begun):
        if known.is_file():
            try:
                theirs = json.loads(known.read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise RequestError(f"{known} can't be read ({error}); name another --out.") from None
            theirs_identity = theirs.get("identity", theirs)
            if digest(theirs_identity) != digest(this):
                names = ", ".join(differences(this, theirs_identity)[:5])
                raise RequestError(
                    f"{out} holds another build (it differs in {names}); name another --out or delete it."
                )
            if known == finished:
                shutil.rmtree(out / BUILD, ignore_errors=True)
                return dict(theirs)
            return None
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(path.name != BUILD for path in out.iterdir()):
            raise RequestError(f"{out} holds files that are not a corpus; name a new or empty folder with --out.")
        (out / BUILD / "shards").mkdir(parents=True, exist_ok=True)
        part = begun.with_suffix(".part")
        part.write_text(json.dumps(this, indent=1, sort_keys=True), "utf-8")
        part.replace(begun)
    except OSError as error:
        raise RequestError(
            f"The output {out} can't be written: {error.strerror or error}; name another --out."
        ) from None
    return None


def _run(shards: list[Shard], recipe: Recipe, store: Path, workers: int | None) -> Iterator[str]:
    """Stream the shards through the stages on Ray; yield each one's name as it is finished."""
    import ray
    from ray.util.annotations import RayDeprecationWarning

    start_ray(workers)
    workers = max(1, workers or int(ray.cluster_resources().get("CPU", 1)))
    rows = [
        {"shard": shard.name, "payload": pickle.dumps((shard.dialogues, (), {})), "failure": ""} for shard in shards
    ]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RayDeprecationWarning)  # no other argument says yet how often Ray tries again
        for spec in recipe.stages:
            size = min(spec.resources.concurrency or workers, len(rows))
            dataset = _mapped(dataset, spec, recipe.seed, size, 1 / (len(recipe.stages) + 1))
    provenance = {"seed": recipe.seed, "recipe": recipe.id}
    dataset = dataset.map(_write, fn_args=(str(store.resolve()), provenance), num_cpus=0.1)
    try:
        for row in dataset.iter_rows():
            if row["failure"]:
                raise _failure(row, store)
            yield row["shard"]
    except (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.ActorDiedError,
        ray.exceptions.ActorUnavailableError,
    ) as error:
        what = (
            "A worker process was killed or crashed again and again: for want of memory, or in a stage's native code; Ray's "
            "logs tell which"
        )
        raise _stopped(what, str(error), store) from None
    except ray.exceptions.RayError as error:
        what = f"Ray stopped the build: {str(error).strip().splitlines()[-1]}"
        raise _stopped(what, str(error), store) from None


def _mapped(dataset: Any, spec: StageSpec, seed: int, size: int, share: float) -> Any:
    """`share`: of a core, since each of the stages holds its own processes, and they take turns."""
    from ray.data import ActorPoolStrategy

    options: dict[str, Any] = {"num_cpus": spec.resources.cpus * share, "num_gpus": spec.resources.gpus or None}
    if not spec.loads:
        return dataset.map(_run_light, fn_args=(spec, seed), max_retries=RETRIES, **options)
    options |= {"max_restarts": RESTARTS, "max_task_retries": RETRIES}
    pool = ActorPoolStrategy(size=size)
    return dataset.map(StageWorker, fn_constructor_args=(spec, seed), compute=pool, **options)


def start_ray(workers: int | None) -> None:
    """Join the cluster that RAY_ADDRESS names, as in a submitted job, or start one of our own on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    from ray.data import DataContext

    # Our own progress is shown instead of Ray's, and errors reach the user as one sentence.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**quiet)
    else:
        ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)


class StageWorker:
    """A stage in a Ray actor: set up once, then one shard after the other.

    A stage that raises does not raise into Ray, which would wrap the reason beyond recognition: the shard's row goes on
    with its `failure`, untouched by the stages after it, and the driver tells of it.
    """

    def __init__(self, spec: StageSpec, seed: int) -> None:
        self.name = spec.name
        self.stage = spec.make(seed)

    def __call__(self, row: Row) -> Row:
        if row["failure"]:
            return row
        try:
            return row | {"payload": self._process(row["payload"])}
        except Exception as error:
            return _failed(row, self.name, error)

    def _process(self, payload: bytes) -> bytes:
        records, rejected, made_by = pickle.loads(payload)
        results = self.stage.process(records)
        if len(results) != len(records):
            raise RuntimeError(f"it returned {len(results)} items for {len(records)} records")
        kept = tuple(result for result in results if not isinstance(result, Rejected))
        refused = (*rejected, *(result for result in results if isinstance(result, Rejected)))
        return pickle.dumps((kept, refused, made_by | {self.name: self.stage.made_by()}))


def _failed(row: Row, stage: str, error: Exception) -> Row:
    # A WorkError is a sentence for the user already.
    reason = str(error) if isinstance(error, WorkError) else f"{type(error).__name__}: {error}"
    failure = {"stage": stage, "reason": reason, "traceback": traceback.format_exc()}
    return {"shard": row["shard"], "payload": b"", "failure": json.dumps(failure)}


def _run_light(row: Row, spec: StageSpec, seed: int) -> Row:
    return _worker(spec.name, pickle.dumps(spec), seed)(row)


@cache
def _worker(name: str, spec: bytes, seed: int) -> StageWorker:
    """A light stage in a Ray task: made once per process."""
    return StageWorker(pickle.loads(spec), seed)


def _write(row: Row, store: str, provenance: dict[str, Any]) -> Row:
    """Write a shard beside its place, then rename it into it. The parent is not made: a straggler of a killed build must
    not bring back a work folder that is gone."""
    if row["failure"]:
        return row
    records, rejected, made_by = pickle.loads(row["payload"])
    place = Path(store) / row["shard"]
    part = place.with_name(f".{place.name}.{os.getpid()}.{time.time_ns()}")
    try:
        part.mkdir()
        pack(part, 0, records, rejected, provenance)
        (part / "made_by.json").write_text(json.dumps(made_by, sort_keys=True), "utf-8")
        if not place.exists():
            part.rename(place)
    except OSError as error:
        return _failed(row, "pack", error)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return row | {"payload": b""}


def _failure(row: Row, store: Path) -> WorkError:
    failure = json.loads(row["failure"])
    what = f"The stage '{failure['stage']}' failed on the shard {row['shard']}: {failure['reason']}"
    return _stopped(what, failure["traceback"], store)


def _stopped(what: str, details: str, store: Path) -> WorkError:
    """One sentence for what stopped the build; the traceback goes to a file."""
    log = store.parent / "error.log"
    try:
        log.write_text(details, "utf-8")
        where = f"; the traceback is in {log}"
    except OSError:
        where = ""
    return WorkError(f"{what.rstrip('.')}. Finished shards are kept, and the same command goes on from them{where}.")
