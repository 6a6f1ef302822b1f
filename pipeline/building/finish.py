"""Publish, second half: tables, card and report next to the finished shards, and `corpus.json` last."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from manifests.corpus import FORMAT_VERSION, Corpus
from manifests.errors import RequestError
from manifests.progress import Progress
from manifests.records import SPLITS, Rejected, TokenizedDialogue, split_voices
from manifests.store import Store
from manifests.table import DIALOGUES, REJECTED, Table, TableWriter, corpus_tables
from pipeline.building.identity import identity
from pipeline.building.parcel import Parcel
from pipeline.building.plan import Plan, write_refused
from pipeline.building.publish import BUILD, DONE, TABLES, Done, open_scratch, publish_shard, scratch
from pipeline.building.shard_cuts import PlannedShard, ShardCutter
from pipeline.recipe import Recipe
from pipeline.report.card import card
from pipeline.report.page import report
from pipeline.report.statistics import corpus_statistics
from pipeline.voices import about_voice


def read_done(store: Store, plan: Plan) -> list[Done]:
    """The markers of all shards of a plan, in its order; raises FileNotFoundError if one is missing."""
    names = [f"{DONE}/{shard.name}.json" for shard in plan.shards]
    return [Done(**json.loads(content)) for content in store.read_many(names)]


def publish_corpus(
    store: Store,
    plan: Plan,
    done: Sequence[Done],
    runs: Sequence[Mapping[str, Any]],
    about: Callable[[str], dict[str, str]],
) -> dict[str, Any]:
    """Write tables, card, report and `corpus.json` next to the finished shards; returns the content of `corpus.json`."""
    shards = [shard.name for shard in plan.shards]
    ingested = [name.removesuffix(".rejected.parquet") for name in store.names(TABLES) if name.startswith("ingest-")]
    with scratch(store) as folder:
        _join(store, shards, "dialogues", folder / "dialogues", DIALOGUES)
        _join(store, [*ingested, *shards], "rejected", folder / "rejected", REJECTED)
        store.put(folder / "dialogues", "manifest/dialogues.parquet")
        store.put(folder / "rejected", "rejected/rejected.parquet")
    dialogues, refused = corpus_tables(store)
    info = {
        "format_version": FORMAT_VERSION,
        "identity": plan.identity,
        "made_by": _made_by(done),
        "voices": _voices(dialogues, about),
        "shards": {split: _numbers(plan, done, split) for split in SPLITS},
        "statistics": corpus_statistics(dialogues, refused, plan.read, plan.not_used),
    }
    corpus = Corpus(store, info, dialogues, refused)
    store.write("README.md", card(corpus).encode())
    store.write("report.html", report(corpus).encode())
    info["run_log"] = [*runs]
    store.write("corpus.json", _json(info))
    store.remove(BUILD)
    return info


def _join(store: Store, shards: Sequence[str], table: str, path: Path, schema: pa.Schema) -> None:
    with TableWriter(path, schema) as joined:
        for rows in store.read_many([f"{TABLES}/{name}.{table}.parquet" for name in shards]):
            joined.add(rows)


def _voices(dialogues: Table, about: Callable[[str], dict[str, str]]) -> dict[str, dict[str, str]]:
    """Every voice used, with its origin and license."""
    columns = ("user_voice", "agent_voice")
    rows = dialogues.read(*columns)
    heard = {voice for column in columns for row in rows[column].unique() for voice in split_voices(row)}
    return {voice: about(voice) for voice in sorted(heard)}


def _numbers(plan: Plan, done: Sequence[Done], split: str) -> list[int]:
    """The numbers of a split's non-empty shards."""
    return [shard.number for shard, one in zip(plan.shards, done, strict=True) if shard.split == split and one.kept]


def _made_by(done: Sequence[Done]) -> dict[str, list[dict[str, str]]]:
    """The environment of each stage, over all shards: one entry if it was the same for all."""
    seen: dict[str, list[dict[str, str]]] = {}
    for one in done:
        for stage, facts in one.made_by.items():
            if facts and facts not in seen.setdefault(stage, []):
                seen[stage].append(facts)
    return {stage: sorted(facts, key=str) for stage, facts in sorted(seen.items()) if facts}


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def publish_records(
    store: Store,
    records: Iterable[TokenizedDialogue],
    rejected: Sequence[Rejected],
    recipe: Recipe,
    progress: Progress,
) -> dict[str, int]:
    """A complete corpus from tokenized dialogues in memory, as `build` makes it from its shards."""
    if store.names():
        raise RequestError(f"{store} already exists; name a new folder with --out.")
    open_scratch(store)
    provenance = {"seed": recipe.seed, "recipe": recipe.id}
    cutter: ShardCutter[TokenizedDialogue] = ShardCutter(recipe.pack)
    done: list[tuple[PlannedShard, Done]] = []

    def publish(shard: PlannedShard, own: list[TokenizedDialogue]) -> None:
        done.append((shard, publish_shard(store, Parcel(shard.name, list(own)), provenance)))
        progress(sum(one.kept for _, one in done), 0, "pack")

    for record in records:
        if full := cutter.add(record.dialogue, record):
            publish(*full)
    for rest in cutter.rest():
        publish(*rest)
    done.sort(key=lambda pair: (SPLITS.index(pair[0].split), pair[0].number))
    write_refused(store, rejected)
    kept = sum(one.kept for _, one in done)
    plan = Plan(identity(recipe, {}, None), tuple(shard for shard, _ in done), kept + len(rejected), len(rejected))
    publish_corpus(store, plan, [one for _, one in done], [], partial(about_voice, recipe))
    return {"kept": kept, "rejected": len(rejected)}
