"""One dialogue of a shard without reading the others: its line of the cuts file, and its members of the tar files by
their offsets."""

import gzip
import json
import tarfile
import threading
from collections import OrderedDict
from typing import IO, Any

from lhotse import MonoCut
from lhotse.serialization import deserialize_item
from lhotse.shar.utils import fill_shar_placeholder

from manifests.errors import RequestError, WorkError
from manifests.shard_reader import missing_file, refuse_foreign_sources
from manifests.shards import shard_file
from manifests.store import Store

Members = dict[str, dict[str, tuple[int, int]]]
"""For a shard's tar file: the place (offset, size) of each member of a dialogue, by id and extension."""

MOST_MEMBERS = 100_000
"""Maximum number of dialogues whose places are cached, over all tar files; the least recently used files are evicted."""

HEADER_BLOCK = 4_096
"""Bytes requested from a remote store for a header, which usually include the next member's header."""


class CutReader:
    """Reads single cuts, from a local folder or any fsspec URL. The places of a tar file's members are found once and
    cached."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Members] = OrderedDict()
        self._lock = threading.Lock()

    def cut(self, split: Store, shard: int, id: str) -> MonoCut:
        """The cut of this id in a shard of a split, its audio and codes in memory.

        Raises `KeyError` if the shard has no such cut, and `WorkError` if one of its files is missing or damaged.
        """
        name = shard_file("cuts", shard)
        try:
            cut = self._without_data(split, name, id)
            for field in _placeholders(cut):
                name = shard_file(field, shard)
                data = self._data(split, name, id)
                manifest = deserialize_item(json.loads(data.pop("json")))
                ((extension, content),) = data.items()
                fill_shar_placeholder(manifest, content, f"{id}.{extension}")
                setattr(cut, field, manifest)
        except FileNotFoundError:
            raise missing_file(split, name) from None
        except (RequestError, WorkError, _NoSuchCut):
            raise
        except Exception as error:  # a damaged file raises whatever its reader raises
            reason = " ".join(str(error).split()) or type(error).__name__
            raise WorkError(
                f"The shard file {split.at(name)} is damaged ({reason}); copy it again, or rebuild the corpus."
            ) from error
        refuse_foreign_sources(cut)
        return cut

    def _without_data(self, split: Store, name: str, id: str) -> MonoCut:
        named = json.dumps({"id": id}, ensure_ascii=False)[1:-1].encode()
        with split.open(name) as file:
            for line in gzip.GzipFile(fileobj=file):
                if named in line and (fields := json.loads(line))["id"] == id:
                    return deserialize_item(fields)
        raise _NoSuchCut(id)

    def _data(self, split: Store, name: str, id: str) -> dict[str, bytes]:
        """The contents of a dialogue's members in a tar file, by extension."""
        with split.open(name, HEADER_BLOCK) as file:
            members = self._members(split.at(name), file)
            return {extension: _part(file, *place) for extension, place in members[id].items()}

    def _members(self, key: str, file: IO[bytes]) -> Members:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = read_members(file)
        with self._lock:
            self._known[key] = found
            while sum(map(len, self._known.values())) > MOST_MEMBERS and len(self._known) > 1:
                self._known.popitem(last=False)
        return found


class _NoSuchCut(KeyError):
    """A shard does not contain the cut."""


def read_members(file: IO[bytes]) -> Members:
    """The places of a tar file's members; only their headers are read."""
    members: Members = {}
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            id, _, extension = member.name.rpartition(".")
            members.setdefault(id, {})[extension] = member.offset_data, member.size
    return members


def _part(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    content = file.read(size)
    if len(content) != size:
        raise ValueError(f"it ends {size - len(content)} bytes too early")
    return content


def _placeholders(cut: MonoCut) -> list[str]:
    """The fields whose data are in tar files."""
    return [
        name for name, field in (("recording", cut.recording), *(cut.custom or {}).items()) if _is_placeholder(field)
    ]


def _is_placeholder(field: Any) -> bool:
    sources = getattr(field, "sources", None)
    if sources is not None:
        return any(source.type == "shar" for source in sources)
    return getattr(getattr(field, "array", field), "storage_type", None) == "shar"
