"""Export a corpus shard by shard, so that it takes the memory of a dialogue, and resumes where it was stopped.

What a format writes for a shard is followed by a marker in `.export/`, with what the end needs to know of it. So a finished
shard is never read again; of one that was cut off, files that are whole are kept, and none is ever there in part. `export.json`
comes last.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import soundfile

from manifests.corpus import Corpus
from manifests.errors import RequestError
from manifests.frames import FRAME_SECONDS
from manifests.progress import Progress, silent
from manifests.records import SPLITS
from manifests.shard_reader import shard_files
from manifests.store import Store
from pipeline.export.dialogue import CorpusDialogue, damage, read_dialogues

EXPORT = "export.json"
SCRATCH = ".export"
_IDENTITY = "identity.json"


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard of a corpus, by split and number."""

    split: str
    number: int

    @property
    def name(self) -> str:
        """`train/000000`: its folder, where an export gives it one."""
        return f"{self.split}/{self.number:06d}"

    @property
    def marker(self) -> str:
        return f"{SCRATCH}/{self.split}.{self.number:06d}.json"


@dataclass(slots=True)
class Written:
    """What a shard came to: what the end needs of it, as JSON can hold it."""

    dialogues: int = 0
    frames: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """How much was there that the format can't carry, by name."""
    index: list[dict[str, Any]] = field(default_factory=list)
    """Rows for a format's own list of what it wrote."""


class Format(ABC):
    """A form that a corpus is exported to."""

    name: str
    carries: frozenset[str] = frozenset()
    """What of `CorpusDialogue.holds` it keeps; the rest is counted as lost."""
    with_codes = False

    @abstractmethod
    def write(self, dialogues: Iterator[CorpusDialogue], shard: Shard, out: Store, written: Written) -> None:
        """Write a shard's dialogues; what is there already from a run that was stopped may be left. Adds to `written.index`."""

    @abstractmethod
    def finish(self, corpus: Corpus, shards: list[Shard], out: Store) -> list[str]:
        """Write what stands over all shards; returns sentences for the user: what to do with it."""


def export(corpus: Corpus, format: Format, out: Store, progress: Progress = silent) -> dict[str, Any]:
    """Export a corpus into a folder, or go on with an export that was stopped; returns what `export.json` holds.

    Raises `RequestError` where `out` holds anything else, and `WorkError` where a shard can't be read.
    """
    out.check()
    identity, finished = start(corpus, format.name, out)
    if finished:
        return finished
    shards = [
        Shard(split, int(name.split(".")[1]))
        for split in SPLITS
        for name in shard_files(corpus.store.folder(split)).get("cuts", ())
    ]
    if not shards:
        raise RequestError(f"The corpus {corpus.url} holds no dialogues.")
    done = set(out.names(SCRATCH))
    for number, shard in enumerate(shards):
        progress(number, len(shards), shard.name)
        if shard.marker.removeprefix(f"{SCRATCH}/") not in done:
            written = _write(corpus, format, shard, out)
            out.write(shard.marker, json.dumps(_as_json(written), ensure_ascii=False).encode())
    progress(len(shards), len(shards), "done")
    total = Written()
    for shard in shards:
        one = read_written(out, shard)
        total.dialogues += one.dialogues
        total.frames += one.frames
        total.lost += one.lost
    totals = {
        "dialogues": total.dialogues,
        "hours": round(total.frames * FRAME_SECONDS / 3600, 4),
        "lost": dict(total.lost.most_common()),
    }
    return conclude(identity, totals, format.finish(corpus, shards, out), out)


def start(corpus: Corpus, format: str, out: Store) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What tells this export from others, by which the folder is marked; and what a finished one holds, if it is there.

    Raises `RequestError` where `out` holds anything else.
    """
    identity = _identity(corpus, format)
    names = out.names()
    finished, begun = EXPORT in names, SCRATCH in names and out.exists(f"{SCRATCH}/{_IDENTITY}")
    if finished or begun:
        found = json.loads(out.read(EXPORT if finished else f"{SCRATCH}/{_IDENTITY}"))
        if any(found.get(key) != value for key, value in identity.items()):
            raise RequestError(
                f"{out} holds another export ({found.get('format')} of {found.get('corpus')}); name a new folder with --out."
            )
        return identity, found if finished else None
    if set(names) - {SCRATCH}:
        raise RequestError(f"{out} exists already and holds no export; name a new folder with --out.")
    out.write(f"{SCRATCH}/{_IDENTITY}", json.dumps(identity).encode())
    return identity, None


def conclude(identity: dict[str, Any], totals: dict[str, Any], use: list[str], out: Store) -> dict[str, Any]:
    """Write `export.json`, which comes last, and return what it holds; `use` says what to do with the export."""
    result = {**identity, **totals, "use": use}
    out.write(EXPORT, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    out.remove(SCRATCH)
    return result


def write_absent(out: Store, shard: Shard, there: Container[str], name: str, content: Callable[[], bytes]) -> None:
    """Write a file into a shard's folder, unless it is among those there: a file is there whole or not at all."""
    if name not in there:
        out.write(f"{shard.name}/{name}", content())


def read_written(out: Store, shard: Shard) -> Written:
    """What the marker of a finished shard holds."""
    content = json.loads(out.read(shard.marker))
    return Written(**content | {"lost": Counter(content["lost"])})


def _as_json(written: Written) -> dict[str, Any]:
    return {
        "dialogues": written.dialogues,
        "frames": written.frames,
        "lost": dict(written.lost),
        "index": written.index,
    }


def _write(corpus: Corpus, format: Format, shard: Shard, out: Store) -> Written:
    written = Written()

    def counted() -> Iterator[CorpusDialogue]:
        for dialogue in read_dialogues(corpus, shard.split, shard.number, format.with_codes):
            yield dialogue
            written.dialogues += 1
            written.frames += dialogue.frames
            written.lost += Counter({k: n for k, n in dialogue.holds().items() if k not in format.carries})

    try:
        format.write(counted(), shard, out, written)
    except soundfile.SoundFileError as error:  # audio is decoded as it is used
        raise damage(corpus, shard.split, error) from error
    return written


def _identity(corpus: Corpus, format: str) -> dict[str, Any]:
    info = {
        key: value for key, value in corpus.info.items() if key != "run_log"
    }  # how a build went says nothing of the corpus
    content = json.dumps(info, sort_keys=True)
    return {
        "format": format,
        "corpus": corpus.name,
        "corpus_sha256": hashlib.sha256(content.encode()).hexdigest(),
    }
