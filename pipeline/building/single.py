"""`salm-duplex stage`: a single stage, in this process, on the output of the previous stage."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from manifests.errors import RequestError, WorkError
from manifests.progress import Progress, silent
from manifests.record_files import RecordWriter, UnreadableRecords, read_record_files, read_rejected
from manifests.records import Record, Rejected, TokenizedDialogue
from manifests.store import Store
from pipeline.building.finish import publish_records
from pipeline.building.parcel import Parcel
from pipeline.building.plan import most_first
from pipeline.building.work import Chain
from pipeline.recipe import Recipe, StageSpec
from pipeline.voices import check_stages
from stages.base import stage_types
from stages.ingest import ingest


def run_stage(name: str, source: str, out: str, recipe: Recipe, progress: Progress = silent) -> dict[str, Any]:
    """Run one stage from `source` to the new folder `out`, paths or URLs; returns the numbers of dialogues kept and
    rejected, and for ingest, what was `not_used`.

    `source` is the folder written by the previous stage; for ingest, dialogues as for `build`. The output of `pack` is
    a corpus. Raises `RequestError` or `WorkError`.
    """
    stages = {spec.name: spec for spec in recipe.stages}
    if name not in (names := ["ingest", *stages, "pack"]):
        raise RequestError(f"There is no stage '{name}'; the stages are {', '.join(names)}.")
    target = Store(out)
    target.check()
    if target.exists() and (not target.is_local or target.names() or Path(target.root).is_file()):
        raise RequestError(f"{out} already exists; name a new folder with --out.")
    try:
        if name == "pack":
            with _as_folder(source) as folder:
                return publish_records(target, _tokenized(folder, source), read_rejected(folder), recipe, progress)
        with _new_folder(target) as place:
            if name == "ingest":
                ingestion = ingest([source], recipe.ingest, recipe.seed)
                counts = _write(place, ingestion, name, progress)
                return counts | {"not_used": most_first(ingestion.not_used)}
            check_stages(replace(recipe, stages=(stages[name],)))
            with _as_folder(source) as folder:
                return _write(place, _processed(stages[name], folder, source, recipe), name, progress)
    except UnreadableRecords as error:
        raise RequestError(str(error)) from None
    except OSError as error:
        raise WorkError(f"The stage '{name}' could not write to {out}: {error.strerror or error}.") from error


def _write(place: Path, results: Iterable[Record | Rejected], name: str, progress: Progress) -> dict[str, int]:
    kept = refused = 0
    with RecordWriter(place) as writer:
        for result in results:
            writer.write(result)
            kept, refused = (kept, refused + 1) if isinstance(result, Rejected) else (kept + 1, refused)
            progress(kept + refused, 0, name)
    return {"kept": kept, "rejected": refused}


def _processed(spec: StageSpec, folder: Path, source: str, recipe: Recipe) -> Iterator[Record | Rejected]:
    """Apply a stage to its input, one shard's worth of records at a time."""
    yield from read_rejected(folder)
    takes = stage_types(spec.stage_class).takes
    chain = Chain([spec], recipe.seed, None)
    records = read_record_files(folder)
    while batch := list(islice(records, recipe.pack.shard_size)):
        if not isinstance(batch[0], takes):
            raise RequestError(
                f"The stage '{spec.name}' takes {takes.__name__} records, but {source} contains {type(batch[0]).__name__} "
                "records; set --in to the folder written by the previous stage."
            )
        parcel = chain.run(Parcel("", batch))
        if parcel.failure:
            raise WorkError(f"The stage '{spec.name}' failed: {parcel.failure.reason.rstrip('.')}.")
        yield from parcel.rejected
        yield from parcel.records


def _tokenized(folder: Path, source: str) -> Iterator[TokenizedDialogue]:
    for record in read_record_files(folder):
        if not isinstance(record, TokenizedDialogue):
            raise RequestError(f"{source} contains no tokenized dialogues; set --in to the folder written by tokenize.")
        yield record


@contextmanager
def _as_folder(source: str) -> Iterator[Path]:
    """A stage's output as a local folder: in place, or downloaded temporarily."""
    store = Store(source)
    if store.is_local:
        yield Path(store.root)
        return
    with tempfile.TemporaryDirectory(prefix="salm-duplex-") as fetched:
        store.fetch(Path(fetched))
        yield Path(fetched)


@contextmanager
def _new_folder(target: Store) -> Iterator[Path]:
    """A folder that appears in its place when complete, and is removed on failure."""
    place = Path(target.root)
    part = place.with_name(f".{place.name}.part") if target.is_local else Path(tempfile.mkdtemp(prefix="salm-duplex-"))
    try:
        if target.is_local:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        yield part
        if target.is_local:
            part.rename(place)
        else:
            for file in sorted(path for path in part.rglob("*") if path.is_file()):
                target.put(file, file.relative_to(part).as_posix())
    finally:
        shutil.rmtree(part, ignore_errors=True)
