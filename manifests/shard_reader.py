"""Read shards as cuts, from a local folder or any fsspec URL, with Lhotse's own Shar reader."""

import gzip
import io
import json
import tarfile
from collections.abc import Collection, Iterator
from typing import IO, Any

import numpy as np
import soundfile
from lhotse import CutSet, MonoCut, Recording
from lhotse.serialization import CompositeIOBackend, IOBackend, get_current_io_backend, set_current_io_backend
from lhotse.shar import LazySharIterator

from manifests.errors import RequestError, WorkError
from manifests.shards import FIELDS, shard_file
from manifests.store import Store


def read_cuts(split: Store, shard: int | None = None, without: Collection[str] = (), **order: Any) -> CutSet:
    """The cuts of one split, or of one of its shards, lazily, shard by shard; `order` is passed to `CutSet.from_shar`
    to shuffle shards.

    Files of the fields `without` are not read; their data are not available. Raises `WorkError` if a shard lacks a
    file, or a remote store becomes unavailable."""
    return CutSet(_Cuts(split, shard, without, order))


class _Cuts:
    def __init__(self, split: Store, shard: int | None, without: Collection[str], order: dict[str, Any]) -> None:
        self._split, self._shard, self._without, self._order = split, shard, without, order

    def __iter__(self) -> Iterator[MonoCut]:
        if not self._split.is_local:
            _StoreBackend.install()
        found = shard_files(self._split, self._shard)
        files = {
            field: [f"{self._split.absolute}/{name}" for name in names]
            for field, names in found.items()
            if field not in self._without
        }
        if not files:
            return
        try:
            for cut in LazySharIterator(fields=files, **self._order):
                refuse_foreign_sources(cut)
                yield cut
        except WorkError:
            raise
        except Exception as error:
            # Lhotse answers any failure to open a URL with the advice to install smart_open.
            cause = error.__cause__ or error.__context__
            raise cause if isinstance(cause, WorkError) else error from None


def refuse_foreign_sources(cut: MonoCut) -> None:
    """Rejects audio from outside the shard's own tars: Lhotse would run any command, or open any file, that a cut names
    as a source."""
    for field in (cut.recording, *(cut.custom or {}).values()):
        for source in field.sources if isinstance(field, Recording) else ():
            if source.type not in ("memory", "shar"):
                raise WorkError(
                    f"The dialogue {cut.id} names a source of type '{source.type}' outside its shard, which is not opened; rebuild the corpus."
                )


def shard_files(split: Store, shard: int | None = None) -> dict[str, list[str]]:
    """The files of a split, or of one of its shards, by field, in shard order; shard numbers may have gaps.

    Raises `WorkError` if one is missing.
    """
    found: dict[str, dict[int, str]] = {}
    for name in split.names():
        field, digits, _ = name.split(".", 2)
        found.setdefault(field, {})[int(digits)] = name
    numbers = sorted({number for own in found.values() for number in own}) if shard is None else [shard]
    wanted = found.keys() | FIELDS.keys() - {"context_audio"} if numbers else ()  # which not every recipe has
    for field in sorted(wanted):
        for number in numbers:
            if number not in found.get(field, {}):
                raise missing_file(split, shard_file(field, number))
    return {field: [own[number] for number in numbers] for field, own in found.items()}


def missing_file(split: Store, name: str) -> WorkError:
    return WorkError(f"The shard file {split.at(name)} is missing; copy it again, or rebuild the corpus.")


class _StoreBackend(IOBackend):  # type: ignore[misc]
    """Lets Lhotse read any fsspec URL, with the retries of a `Store`."""

    @classmethod
    def install(cls) -> None:
        """Register it, once, as this process's first reader."""
        current = get_current_io_backend()
        if not (isinstance(current, CompositeIOBackend) and isinstance(current.backends[0], cls)):
            set_current_io_backend(CompositeIOBackend([cls(), current]))

    @classmethod
    def is_available(cls) -> bool:
        return True

    def is_applicable(self, identifier: Any) -> bool:
        return "://" in str(identifier) and not str(identifier).startswith("pipe:")

    def open(self, identifier: Any, mode: str = "r") -> IO[Any]:
        if "w" in mode or "a" in mode:
            raise WorkError(f"{identifier} can't be written by Lhotse; write it through its store.")
        folder, _, name = str(identifier).rpartition("/")
        file: Any = Store(folder).open(name)
        if name.endswith(".gz"):
            file = gzip.GzipFile(fileobj=file)
        return file if "b" in mode else io.TextIOWrapper(file, encoding="utf-8")


def damaged_file(split: Store) -> tuple[str, str] | None:
    """The path or URL of the first shard file of a split that can't be read completely, with the reason; None if all
    can be read, separately and by Lhotse."""
    names = split.names()
    for name in names:
        try:
            _read_to_its_end(split, name)
        except (RequestError, WorkError):
            raise
        except Exception as error:  # a damaged file raises whatever its reader raises
            return split.at(name), " ".join(str(error).split()) or type(error).__name__
    for name in [name for name in names if name.startswith("cuts.")]:
        try:
            for cut in read_cuts(split, int(name.split(".")[1])):
                cut.load_audio(), cut.load_target_audio(), cut.load_target_codes()
        except (RequestError, WorkError):
            raise
        except Exception as error:
            return split.at(name), f"Lhotse: {' '.join(str(error).split()) or type(error).__name__}"
    return None


def _read_to_its_end(split: Store, name: str) -> None:
    with split.open(shard_file("cuts", int(name.split(".")[1]))) as file:
        expected = sum(1 for _ in gzip.GzipFile(fileobj=file))
    with split.open(name) as file:
        number = _count(name, file)
    if number != expected:
        raise ValueError(f"it contains {number} of {expected} dialogues")


def _count(name: str, file: IO[bytes]) -> int:
    """The number of dialogues in a file, which is read completely."""
    if name.endswith(".jsonl.gz"):
        return sum(1 for line in gzip.GzipFile(fileobj=file) if json.loads(line))
    with tarfile.open(fileobj=file) as archive:
        return sum(1 for member in archive if _read_member(archive, member)) // 2


def _read_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
    file = archive.extractfile(member)
    content = file.read() if file else b""
    if member.name.endswith(".flac"):
        soundfile.read(io.BytesIO(content), dtype="int16")
    elif member.name.endswith(".npy"):
        np.load(io.BytesIO(content), allow_pickle=False)
    return True
