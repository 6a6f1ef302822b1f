"""`salm-duplex build`: plan, perform, publish. Resumable and byte-for-byte reproducible.

A shard is finished if it has a marker under `.build/done`; a rerun builds only the others.
"""

import contextlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from manifests.errors import RequestError, WorkError
from manifests.identity import differences, digest
from manifests.progress import Progress, silent
from manifests.sources import expand
from manifests.store import Store
from pipeline.building.cluster import RayInTheShade
from pipeline.building.finish import publish_corpus, read_done
from pipeline.building.identity import identity
from pipeline.building.lease import Lease
from pipeline.building.perform import perform, stopped
from pipeline.building.plan import INDEX, Plan, load_plan, make_plan
from pipeline.building.publish import BUILD, DONE, Done, finished, open_scratch, shard_rejected
from pipeline.building.run_log import Run, run_log
from pipeline.building.work import FAILED, HUNG
from pipeline.recipe import Recipe
from pipeline.voices import about_voice, check_stages
from stages.ingest import fingerprints

HOPELESS = 100
"""If this many dialogues failed and none was built, the stage is broken and the build stops."""


def build(
    inputs: Sequence[str],
    out: str | Path,
    recipe: Recipe,
    workers: int | None = None,
    limit: int | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Build, resume or confirm the corpus at `out`, a path or fsspec URL, and return its `corpus.json`.

    Raises `RequestError` before any work and `WorkError` after.
    """
    check_stages(recipe)
    expand(list(inputs))
    store = Store(out)
    store.check()
    if known := _known(store):
        progress(0, 0, "comparing with the existing corpus")
        read = fingerprints(inputs)
        _refuse_another(store, known["identity"], identity(recipe, read, limit))
        if "statistics" in known:
            if BUILD in store.names():  # killed between its last two steps
                store.remove(BUILD)
            return known
    made = not store.exists()
    _refuse_other_files(store, resumed=bool(known))
    with Lease(store) as lease, RayInTheShade(workers) as ray:
        try:
            plan = load_plan(store) or make_plan(inputs, recipe, limit, store, progress, ray.begin)
            ray.wait()
            return _run(plan, recipe, store, workers, progress, lease)
        except RequestError:
            if not known:
                _undo(store, made)
            raise


def _run(
    plan: Plan, recipe: Recipe, store: Store, workers: int | None, progress: Progress, lease: Lease
) -> dict[str, Any]:
    found, total = finished(store), len(plan.shards)
    todo = [shard for shard in plan.shards if shard.name not in found]
    run = Run.begin(store, len(found))
    lost: list[Done] = []
    try:
        if todo:
            progress(len(found), total, "starting Ray")
        for done in perform(todo, recipe, store, workers) if todo else ():
            lease.check()
            run.add(done)
            progress(len(found) + run.built, total, done.shard)
            lost += [done] if done.failed else []
            if run.failed >= HOPELESS and not run.kept:
                raise _too_many(store, lost, plan, recipe)
        progress(total, total, "writing tables, card and report")
        done_all = read_done(store, plan)
        if sum(done.failed for done in done_all) > recipe.max_failed * plan.dialogues:
            raise _too_many(store, done_all, plan, recipe)
        run.end("finished")
        return publish_corpus(store, plan, done_all, run_log(store), partial(about_voice, recipe))
    except BaseException as error:
        with contextlib.suppress(Exception):
            run.end(str(error) or type(error).__name__)
        if isinstance(error, OSError):
            raise WorkError(
                f"The corpus at {store} could not be completed: {error}; fix that and rerun the same command."
            ) from error
        raise


def _too_many(store: Store, done: Sequence[Done], plan: Plan, recipe: Recipe) -> WorkError:
    """Raise if too many dialogues were lost to a stage: their shards are rebuilt once the stage is fixed."""
    failed = [one for one in done if one.failed]
    first = next(row for row in shard_rejected(store, failed[0].shard) if row["reason"] == FAILED)
    for one in failed:
        store.remove(f"{DONE}/{one.shard}.json")
        store.remove(f"{HUNG}/{one.shard}")
    number = sum(one.failed for one in failed)
    what = (
        f"{number} of {plan.dialogues} dialogues were lost to a stage that raised or hung, more than the recipe's max_failed "
        f"({recipe.max_failed:g}) allows; the first is {first['id']}: {first['message']}"
    )
    return stopped(what, first["traceback"], store)


def _known(store: Store) -> dict[str, Any] | None:
    """`corpus.json` of a finished corpus, or the plan's index of an unfinished one."""
    for name in ("corpus.json", INDEX):
        try:
            known = json.loads(store.read(name))
            return dict(known) if name == "corpus.json" else {"identity": known["identity"]}
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RequestError(f"{store.at(name)} can't be read ({error}); name another --out.") from None
    return None


def _refuse_another(store: Store, theirs: dict[str, Any], this: dict[str, object]) -> None:
    if digest(theirs) != digest(this):
        names = ", ".join(differences(this, theirs)[:5])
        raise RequestError(f"{store} contains another build (it differs in {names}); name another --out, or delete it.")


def _refuse_other_files(store: Store, resumed: bool) -> None:
    try:
        if not resumed and any(name != BUILD for name in store.names()):
            raise RequestError(f"{store} contains files that are not a corpus; name a new or empty folder with --out.")
        open_scratch(store)
    except OSError as error:
        raise RequestError(
            f"The output {store} can't be written: {error.strerror or error}; name another --out."
        ) from None


def _undo(store: Store, made: bool) -> None:
    """Remove everything of a refused build."""
    store.remove(BUILD)
    if made and store.is_local:
        with contextlib.suppress(OSError):
            Path(store.root).rmdir()
