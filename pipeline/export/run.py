"""Export a corpus shard by shard, so that it takes the memory of one dialogue and resumes where it was stopped.

After a format has written a shard, a marker in `.export/` records what the final step needs to know. So a finished
shard is never read again; of an unfinished one, complete files are kept, and files are never partial. `export.json`
is written last.
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
        """`train/000000`: its folder, for exports with one per shard."""
        return f"{self.split}/{self.number:06d}"

    @property
    def marker(self) -> str:
        return f"{SCRATCH}/{self.split}.{self.number:06d}.json"


@dataclass(slots=True)
class Written:
    """The result of a shard that the final step needs, as JSON."""

    dialogues: int = 0
    frames: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """Counts of what the format can't represent, by name."""
    index: list[dict[str, Any]] = field(default_factory=list)
    """Rows for a format's own index."""


class Format(ABC):
    """A format that a corpus is exported to."""

    name: str
    carries: frozenset[str] = frozenset()
    """The names of `CorpusDialogue.holds` that it keeps; the rest is counted as lost."""
    with_codes = False

    @abstractmethod
    def write(self, dialogues: Iterator[CorpusDialogue], shard: Shard, out: Store, written: Written) -> None:
        """Write a shard's dialogues, except those that a stopped run has written already. Adds to `written.index`."""

    @abstractmethod
    def finish(self, corpus: Corpus, shards: list[Shard], out: Store) -> list[str]:
        """Write the files above the shards; returns sentences for the user: what to do with the export."""


def export(corpus: Corpus, format: Format, out: Store, progress: Progress = silent) -> dict[str, Any]:
    """Export a corpus to a folder, or resume a stopped export; returns the content of `export.json`.

    Raises `RequestError` if `out` contains anything else, and `WorkError` if a shard can't be read.
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
        raise RequestError(f"The corpus {corpus.url} has no dialogues; build it from more input.")
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
    """The identity of this export, which marks the folder, and the content of a finished one, if there is one.

    Raises `RequestError` if `out` contains anything else.
    """
    identity = _identity(corpus, format)
    names = out.names()
    finished, begun = EXPORT in names, SCRATCH in names and out.exists(f"{SCRATCH}/{_IDENTITY}")
    if finished or begun:
        found = json.loads(out.read(EXPORT if finished else f"{SCRATCH}/{_IDENTITY}"))
        if any(found.get(key) != value for key, value in identity.items()):
            raise RequestError(
                f"{out} contains another export ({found.get('format')} of {found.get('corpus')}); name a new folder with --out."
            )
        return identity, found if finished else None
    if set(names) - {SCRATCH}:
        raise RequestError(f"{out} already exists and is not an export; name a new folder with --out.")
    out.write(f"{SCRATCH}/{_IDENTITY}", json.dumps(identity).encode())
    return identity, None


def conclude(identity: dict[str, Any], totals: dict[str, Any], use: list[str], out: Store) -> dict[str, Any]:
    """Write `export.json`, the last file, and return its content; `use` says what to do with the export."""
    result = {**identity, **totals, "use": use}
    out.write(EXPORT, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    out.remove(SCRATCH)
    return result


def write_absent(out: Store, shard: Shard, there: Container[str], name: str, content: Callable[[], bytes]) -> None:
    """Write a file to a shard's folder, unless it is among `there`: existing files are always complete."""
    if name not in there:
        out.write(f"{shard.name}/{name}", content())


def read_written(out: Store, shard: Shard) -> Written:
    """The content of a finished shard's marker."""
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
    except soundfile.SoundFileError as error:  # audio is decoded on use
        raise damage(corpus, shard.split, error) from error
    return written


def _identity(corpus: Corpus, format: str) -> dict[str, Any]:
    info = {
        key: value for key, value in corpus.info.items() if key != "run_log"
    }  # the run log does not affect the corpus
    content = json.dumps(info, sort_keys=True)
    return {
        "format": format,
        "corpus": corpus.name,
        "corpus_sha256": hashlib.sha256(content.encode()).hexdigest(),
    }
