"""Putting a corpus together from its finished shards.

Every part is made beside its place and renamed into it, `corpus.json` last: so a corpus with a `corpus.json` is whole,
and putting one together can be killed and repeated.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from manifests.corpus import FORMAT_VERSION, Corpus
from manifests.files import write_whole
from manifests.records import SPLITS
from manifests.shards import FIELDS, shard_file
from manifests.store import Store
from manifests.table import DIALOGUES, Table, TableWriter, corpus_tables
from manifests.table import REJECTED as REFUSED
from pipeline.plan import Ingested, Shard
from pipeline.report.card import card
from pipeline.report.page import report
from pipeline.report.statistics import corpus_statistics
from stages.pack import MANIFEST, REJECTED


def assemble(
    out: Path,
    store: Path,
    shards: list[Shard],
    ingested: Ingested,
    identity: dict[str, Any],
    run: dict[str, Any],
    about_voice: Callable[[str], dict[str, str]],
) -> dict[str, Any]:
    """Put a corpus together from its finished shards under `store`; returns its `corpus.json`."""
    parts = store.parent / "parts"
    shutil.rmtree(parts, ignore_errors=True)
    for split in SPLITS:
        if not (out / split).is_dir():
            _gather_split(parts / split, [store / s.name for s in shards if s.split == split])
            if any((parts / split).iterdir()):
                (parts / split).rename(out / split)
    _gather_tables(parts, out, [store / shard.name for shard in shards], ingested)
    dialogues, rejected = corpus_tables(Store(out))
    info = {
        "format_version": FORMAT_VERSION,
        "identity": identity,
        "made_by": _made_by([store / shard.name for shard in shards]),
        "voices": _voices(dialogues, about_voice),
        "statistics": corpus_statistics(dialogues, rejected, ingested.read),
    }
    corpus = Corpus(out, info, dialogues, rejected)
    write_whole(out / "README.md", card(corpus).encode())
    write_whole(out / "report.html", report(corpus).encode())
    info["run_log"] = [run]
    write_whole(out / "corpus.json", (json.dumps(info, indent=1, ensure_ascii=False) + "\n").encode())
    shutil.rmtree(store.parent, ignore_errors=True)
    return info


def _gather_split(place: Path, folders: list[Path]) -> None:
    """Link a split's shards into one folder, numbered without holes: a shard may have lost all its dialogues."""
    place.mkdir(parents=True)
    full = [folder for folder in folders if (folder / shard_file("cuts", 0)).is_file()]
    for number, folder in enumerate(full):
        for field in FIELDS:
            source, target = folder / shard_file(field, 0), place / shard_file(field, number)
            if field == "context_audio" and not source.is_file():  # the recipe asks for none
                continue
            try:
                os.link(source, target)
            except OSError:  # a file system without hard links
                shutil.copyfile(source, target)


def _gather_tables(parts: Path, out: Path, folders: list[Path], ingested: Ingested) -> None:
    if not (out / "manifest").is_dir():
        (parts / "manifest").mkdir(parents=True)
        with TableWriter(parts / "manifest" / "dialogues.parquet", DIALOGUES) as table:
            for folder in folders:
                table.add(folder / MANIFEST)
        (parts / "manifest").rename(out / "manifest")
    if not (out / "rejected").is_dir():
        (parts / "rejected").mkdir(parents=True)
        with TableWriter(parts / "rejected" / "rejected.parquet", REFUSED) as table:
            table.add_rows([asdict(one) for one in ingested.rejected])
            for folder in folders:
                table.add(folder / REJECTED)
        (parts / "rejected").rename(out / "rejected")


def _voices(dialogues: Table, about: Callable[[str], dict[str, str]]) -> dict[str, dict[str, str]]:
    """Every voice that is heard, with where it comes from and its licence."""
    columns = dialogues.read("user_voice", "agent_voice")
    heard = {voice for name in columns for voices in columns[name].unique() for voice in voices.split(",")}
    return {voice: about(voice) for voice in sorted(heard - {""})}


def _made_by(folders: list[Path]) -> dict[str, list[dict[str, str]]]:
    """What each stage ran with, over all shards: one entry where all were made alike."""
    seen: dict[str, list[dict[str, str]]] = {}
    for folder in folders:
        for stage, facts in json.loads((folder / "made_by.json").read_text("utf-8")).items():
            if facts and facts not in seen.setdefault(stage, []):
                seen[stage].append(facts)
    return {stage: sorted(facts, key=str) for stage, facts in sorted(seen.items()) if facts}
