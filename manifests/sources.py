"""Sources of dialogues: files, folders, patterns, standard input, any fsspec URL; plain, gzip or zstd.

Everything is read once, as a stream, and hashed on the way. `manifests.raw_records` interprets the content.
"""

import contextlib
import glob
import hashlib
import io
import itertools
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

import fsspec
import pyarrow as pa

from manifests.errors import RequestError, WorkError
from manifests.flat_messages import as_trees
from manifests.json_records import read_json
from manifests.json_text import CHUNK, Readable
from manifests.other_files import HEAD, kind_of
from manifests.raw_records import PARQUET, BrokenRecord, read_ahead, read_parquet
from manifests.store import FIRST_PATIENCE_S, Store
from manifests.store_errors import explain

STDIN = "-"
SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")
PACKED = ("", ".gz", ".zst", ".zstd")

_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


class UnreadableInput(RequestError):
    """An input that can't be opened, or is damaged beyond recovery."""


def expand(inputs: Sequence[str]) -> list[str]:
    """The files and URLs named by `inputs`, each once, in the order of the inputs and sorted within each.

    A folder stands for the dialogue files in it at any depth: those with one of `SUFFIXES`, compressed or not, and not
    hidden. A pattern (`data/*.jsonl`) stands for every file that it matches, `-` for standard input. Raises
    `UnreadableInput` if there is no such file, or if a folder or pattern has none.
    """
    return list(dict.fromkeys(url for name in inputs for url in _expand(name)))


def _expand(url: str) -> list[str]:
    if url == STDIN or _is_plain_url(url):
        return [url]
    if glob.has_magic(url) and not os.path.exists(url):
        if found := [match for match in _matches(url) if not PurePosixPath(match).name.startswith(".")]:
            return found
        raise UnreadableInput(f"No file matches {url}; check the pattern.")
    below = _below(url)
    if below == [""]:
        return [url]
    files = [f"{url.rstrip('/')}/{name}" for name in below if _is_dialogue_file(name)]
    if not files:
        endings = ", ".join(SUFFIXES)
        raise UnreadableInput(f"The folder {url} has no dialogue files ({endings}); name the files to read.")
    return files


def _matches(pattern: str) -> list[str]:
    """The files that match a pattern, in order."""
    if _is_local(pattern):
        return sorted(path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path))
    first = next(at for at, character in enumerate(pattern) if character in "*?[")
    folder = pattern[:first].rsplit("/", 1)[0]
    with _told(pattern):
        return [f"{folder}/{name}" for name in Store(folder, FIRST_PATIENCE_S).find(pattern[len(folder) + 1 :])]


def _below(url: str) -> list[str]:
    """The names of all files in a folder, at any depth and in order; `[""]` for a file."""
    if not _is_local(url):
        with _told(url):
            found = Store(url, FIRST_PATIENCE_S).find()
        if not found:
            raise _unreadable(url, FileNotFoundError())
        return found
    if os.path.isdir(url):
        walk = os.walk(url)
        return sorted(os.path.relpath(os.path.join(place, name), url) for place, _, names in walk for name in names)
    if not os.path.exists(url):
        raise _unreadable(url, FileNotFoundError())
    return [""]


def _is_dialogue_file(path: str) -> bool:
    """Whether a file name looks like dialogues: a folder may also contain a README, recordings, or temporary files."""
    if any(part.startswith((".", "_")) for part in PurePosixPath(path).parts):
        return False
    return path.lower().endswith(tuple(f"{suffix}{packed}" for suffix in SUFFIXES for packed in PACKED))


class Source:
    """The records of one file, URL or standard input, read once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = "stdin" if url == STDIN else url.rsplit("/", 1)[-1]
        self.fingerprint = ""
        """The SHA-256 of the uncompressed content, once `records` is exhausted."""
        self.not_used: Counter[str] = Counter()
        """Counts of the other contents of an object with a list of dialogues."""

    def records(self, limit: int | None = None) -> Iterator[tuple[int, Any | BrokenRecord]]:
        """Yield (position, record), at most `limit` of them; see `read_json` and `read_parquet`. Raises
        `UnreadableInput`."""
        with contextlib.ExitStack() as stack:
            content = stack.enter_context(_content(self.url))
            head, stream = read_ahead(content, HEAD)
            if head.startswith(PARQUET):
                seekable = stack.enter_context(_seekable(self.url, content, stream))
                records = read_parquet(seekable)
            elif kind := kind_of(head):
                message = f"The file is {kind}, which contains no dialogues; use JSON Lines, JSON or Parquet."
                records = iter([(1, BrokenRecord("not_dialogues", message))])
            else:
                records = read_json(stream, self.not_used)
            yield from itertools.islice(as_trees(records), limit)
            content.drain()
            self.fingerprint = content.fingerprint


def fingerprint_of(url: str) -> str:
    """The SHA-256 of a source's uncompressed content; raises `UnreadableInput`."""
    with _content(url) as content:
        content.drain()
        return content.fingerprint


def base_name(url: str) -> str:
    """The last part of a path or URL, without its suffixes: `s3://b/chat.jsonl.gz` gives `chat`."""
    if url == STDIN:
        return "stdin"
    return PurePosixPath(url.replace(os.sep, "/")).name.split(".")[0] or "dialogues"


class _Content:
    """A source's uncompressed content, hashed while it is read."""

    def __init__(self, url: str, stream: Readable, packing: str) -> None:
        self._url, self._stream, self._packing = url, stream, packing
        self._hash = hashlib.sha256()

    @property
    def fingerprint(self) -> str:
        return self._hash.hexdigest()

    @property
    def is_file(self) -> bool:
        """Whether the content is an uncompressed local file."""
        return not self._packing and _is_local(self._url) and os.path.isfile(self._url)

    def read(self, length: int, /) -> bytes:
        try:
            chunk = self._stream.read(length)
        except OSError as error:
            message = f"The input {self._url} is damaged: its {self._packing} data can't be decompressed: {error}."
            raise UnreadableInput(message) from error
        self._hash.update(chunk)
        return chunk

    def drain(self) -> None:
        while self.read(CHUNK):
            pass


@contextlib.contextmanager
def _content(url: str) -> Iterator[_Content]:
    with contextlib.ExitStack() as stack:
        with _told(url):
            file = sys.stdin.buffer if url == STDIN else stack.enter_context(_opened(url))
        magic, stream = read_ahead(_Told(url, file), 4)
        packing = next((name for name, start in _MAGIC.items() if magic.startswith(start)), "")
        unpacked = pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), packing) if packing else stream
        yield _Content(url, unpacked, packing)


def _opened(url: str) -> contextlib.AbstractContextManager[Readable]:
    """A local file, or a file in a store, with retries while the store is unavailable."""
    if _is_local(url) or _is_plain_url(url):
        opened: contextlib.AbstractContextManager[Readable] = fsspec.open(url, "rb")
        return opened
    return Store(url).open("")


@contextlib.contextmanager
def _seekable(url: str, content: _Content, stream: io.BufferedReader) -> Iterator[BinaryIO]:
    """The content as a seekable file: the local file itself, else a temporary copy."""
    if content.is_file:
        with open(url, "rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        try:
            shutil.copyfileobj(stream, copy, CHUNK)
        except OSError as error:
            message = f"The input {url} can't be decompressed to {tempfile.gettempdir()}: {error.strerror or error}."
            raise UnreadableInput(message) from error
        copy.seek(0)
        yield cast(BinaryIO, copy)


class _Told:
    """Raw bytes; errors in reading them become `UnreadableInput`."""

    def __init__(self, url: str, file: Readable) -> None:
        self._url, self._file = url, file

    def read(self, length: int, /) -> bytes:
        with _told(self._url):
            return self._file.read(length)


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Turn errors with an input into `UnreadableInput`."""
    try:
        yield
    except (RequestError, WorkError) as error:  # already a sentence that starts with the URL
        raise UnreadableInput(f"The input {error}") from error
    except (OSError, ImportError, ValueError) as error:
        raise _unreadable(url, error) from error


def _is_local(url: str) -> bool:
    return url != STDIN and "://" not in url and "::" not in url


def _is_plain_url(url: str) -> bool:
    """Whether it names one file that only fsspec can open: a web server can't list its files."""
    return "::" in url or url.startswith(("http://", "https://"))


def _unreadable(url: str, error: Exception) -> UnreadableInput:
    return UnreadableInput(explain(f"The input {url}", error))
