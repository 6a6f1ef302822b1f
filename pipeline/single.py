"""`salm-duplex stage`: one stage by itself, in this process, on what the stage before it wrote."""

import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from manifests.columns import dialogue_row
from manifests.errors import RequestError, WorkError
from manifests.record_files import RecordWriter, UnreadableRecords, read_record_files, read_rejected
from manifests.records import SPLITS, Record, Rejected, TokenizedDialogue
from manifests.shards import write_shard
from manifests.sources import UnreadableInput
from manifests.table import DIALOGUES, TableWriter, write_rejected
from pipeline.recipe import Recipe
from stages.ingest import ingest

Progress = Callable[[int], None]
"""Told the number of dialogues done so far."""


def run_stage(
    name: str, source: Path, out: Path, recipe: Recipe, progress: Progress = lambda done: None
) -> dict[str, int]:
    """Run one stage from `source` to the new folder `out`; returns how many dialogues were kept and rejected.

    `source` is the folder that the stage before wrote; for ingest, a file of dialogues or a folder of such files. Raises
    `RequestError` or `WorkError`.
    """
    names = ("ingest", *(spec.name for spec in recipe.stages), "pack")
    if name not in names:
        raise RequestError(f"There is no stage '{name}'; the stages are {', '.join(names)}.")
    if out.exists():
        raise RequestError(f"{out} exists already; name a new folder with --out.")
    part = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        counts = _run(name, source, part, recipe, progress)
        part.rename(out)
    except (UnreadableInput, UnreadableRecords) as error:
        raise RequestError(str(error)) from None
    except OSError as error:
        raise WorkError(f"The stage '{name}' could not write to {out}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return counts


def _run(name: str, source: Path, out: Path, recipe: Recipe, progress: Progress) -> dict[str, int]:
    if name == "pack":
        return _pack(source, out, recipe, progress)
    kept = refused = 0
    with RecordWriter(out) as writer:
        for result in _ingested(source, recipe) if name == "ingest" else _processed(name, source, recipe):
            writer.write(result)
            kept, refused = (kept, refused + 1) if isinstance(result, Rejected) else (kept + 1, refused)
            progress(kept + refused)
    return {"kept": kept, "rejected": refused}


def _ingested(source: Path, recipe: Recipe) -> Iterator[Record | Rejected]:
    yield from ingest([str(source)], recipe.ingest, recipe.seed)


def _processed(name: str, source: Path, recipe: Recipe) -> Iterator[Record | Rejected]:
    """A stage over its input, as many records at a time as a shard holds."""
    spec = recipe.stage(name)
    yield from read_rejected(source)
    records = read_record_files(source)
    spec.stage_class.check(spec.settings)
    stage, takes = None, spec.types.takes
    while batch := list(islice(records, recipe.pack.shard_size)):
        for record in batch:
            if not isinstance(record, takes):
                raise RequestError(
                    f"The stage '{name}' takes {takes.__name__} records, and {source} holds {type(record).__name__} records; "
                    "give --in the folder that the stage before it wrote."
                )
        stage = stage or spec.make(recipe.seed)
        try:
            yield from stage.process(batch)
        except Exception as error:  # a user's own stage may raise anything
            raise WorkError(f"The stage '{name}' failed: {type(error).__name__}: {error}.") from error


def _pack(source: Path, out: Path, recipe: Recipe, progress: Progress) -> dict[str, int]:
    """Shards of each split in its own folder, and the tables; the corpus's card and report come with `build` alone."""
    rejected = read_rejected(source)
    provenance = {"seed": recipe.seed, "recipe": recipe.id}
    waiting: dict[str, list[TokenizedDialogue]] = {split: [] for split in SPLITS}
    numbers = dict.fromkeys(SPLITS, 0)
    kept = 0
    for folder in ("manifest", "rejected"):
        (out / folder).mkdir()

    def flush(split: str) -> None:
        (out / split).mkdir(exist_ok=True)
        write_shard(out / split, numbers[split], waiting[split], provenance)
        numbers[split] += 1
        waiting[split].clear()

    with TableWriter(out / "manifest" / "dialogues.parquet", DIALOGUES) as table:
        for record in read_record_files(source):
            if not isinstance(record, TokenizedDialogue):
                raise UnreadableRecords(
                    f"{source} holds no tokenized dialogues; give --in the folder that tokenize wrote."
                )
            split = record.dialogue.split or "train"
            waiting[split].append(record)
            table.add_rows([dialogue_row(record) | provenance])
            kept += 1
            progress(kept)
            if len(waiting[split]) == recipe.pack.shard_size:
                flush(split)
    for split in SPLITS:
        if waiting[split]:
            flush(split)
    write_rejected(out / "rejected" / "rejected.parquet", rejected)
    return {"kept": kept, "rejected": len(rejected)}
