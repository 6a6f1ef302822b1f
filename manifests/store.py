"""A folder at a local path or any fsspec URL: all corpora are read and written through it.

Files are written atomically: locally by writing to a temporary name and renaming, on an object store by a PUT.
Operations on a remote store are idempotent and retried while the store is slow, busy or unavailable.
"""

import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import fsspec
import tenacity

from manifests.errors import RequestError, WorkError
from manifests.files import create_whole, is_unfinished, unfinished, write_whole
from manifests.store_errors import explain, is_missing, is_transient

T = TypeVar("T")

PATIENCE_S = 180.0
"""How long a remote store may be unavailable before an operation fails."""

FIRST_PATIENCE_S = 30.0
"""How long it may be unavailable on first use."""

_AT_ONCE = 200
_READ_BLOCK = 8 * 2**20
_S3_OPTIONS = {"max_concurrency": 2}  # concurrent 50 MiB parts of an upload; s3fs would hold ten in memory
_OPTIONS: dict[str, dict[str, Any]] = {"s3": _S3_OPTIONS, "s3a": _S3_OPTIONS}


class Store:
    """A folder, local or remote. Names are relative to it, with `/` as the separator."""

    def __init__(self, url: str | Path, patience_s: float = PATIENCE_S) -> None:
        """Raises `RequestError` if there is no such protocol, or its package is not installed."""
        self.url = str(url).rstrip("/") or "/"
        try:
            fs, root = _connected(self.url)
        except (ImportError, ValueError) as error:
            raise RequestError(explain(self.url, error)) from error
        self.root = root.rstrip("/") or "/"
        self.is_local = "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
        self._patience_s = patience_s
        self._connection, self._process = fs, os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_connection": None, "_process": None}

    @property
    def _fs(self) -> Any:
        # A connection belongs to one process: a forked one makes its own, and so does one on another machine.
        if self._process != os.getpid():
            self._connection, _ = _connected(self.absolute)
            self._process = os.getpid()
        return self._connection

    def check(self) -> None:
        """Raise `RequestError` unless the store answers and can be listed; it may be empty."""
        if self.is_local:
            return
        try:
            self._tried(lambda: self._fs.ls(self.root, detail=False), FIRST_PATIENCE_S)
        except FileNotFoundError:
            return
        except WorkError as error:
            raise RequestError(str(error)) from error

    def __str__(self) -> str:
        return self.url

    @property
    def absolute(self) -> str:
        """The path or URL that opens the same store from any working folder."""
        return self.root if self.is_local else self.url

    def at(self, name: str) -> str:
        """The full path or URL of a file or folder in the store."""
        return f"{self.url}/{name}" if name else self.url

    def folder(self, name: str) -> "Store":
        return Store(self.at(name), self._patience_s)

    def exists(self, name: str = "") -> bool:
        def found() -> bool:
            # Some stores' own `exists` returns False if the request failed.
            try:
                self._fs.info(self._path(name))
            except (FileNotFoundError, NotADirectoryError) as error:
                if not is_missing(error):
                    raise
                return False
            return True

        return self._tried(found)

    def names(self, folder: str = "") -> list[str]:
        """The names in a folder, in order, without unfinished files; empty if there is no folder."""

        if self.is_local:
            place = Path(self._path(folder))
            found = os.listdir(place) if place.is_dir() else []
            return sorted(name for name in found if not is_unfinished(name))

        def listed() -> list[str]:
            try:
                found = self._fs.ls(self._path(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError) as error:
                if not is_missing(error):
                    raise
                return []
            return sorted(
                name for path in found if not is_unfinished(name := path.rstrip("/").rsplit("/", 1)[-1]) and name
            )

        return self._tried(listed)

    def find(self, pattern: str = "") -> list[str]:
        """The names of all files at any depth, or of those that match a pattern, in order; `[""]` if the store itself
        is a file, and empty if there is nothing."""

        def found() -> list[str]:
            if pattern:
                matches = self._fs.glob(f"{self.root}/{pattern}", detail=True)
                return [path for path, info in matches.items() if info["type"] != "directory"]
            return list(self._fs.find(self.root))

        return sorted(path.removeprefix(self.root).lstrip("/") for path in self._tried(found))

    def read(self, name: str) -> bytes:
        return self._tried(lambda: bytes(self._fs.cat_file(self._path(name))))

    def open(self, name: str, block_bytes: int = _READ_BLOCK) -> BinaryIO:
        """Read a file as a stream. A remote file is read in blocks of this size, each requested and retried
        separately, so that a broken connection affects neither the work nor the file; small blocks suit a reader that
        seeks."""
        path = self._path(name)
        if self.is_local:
            return open(path, "rb")
        size = self._tried(lambda: self._fs.info(path)["size"])
        if size is None:  # a web server may not report it
            return io.BytesIO(self.read(name))

        def block(start: int, end: int) -> bytes:
            found = bytes(self._fs.cat_file(path, start=start, end=end))
            if len(found) != end - start:
                raise OSError(f"{len(found)} bytes were received instead of {end - start}")
            return found

        blocks = _Blocks(size, lambda start, end: self._tried(lambda: block(start, end)))
        return io.BufferedReader(blocks, block_bytes)

    def read_many(self, names: Sequence[str]) -> Iterator[bytes]:
        """The contents of many files, in order; many are requested from a remote store at once, and few are held in
        memory."""
        if self.is_local:
            yield from map(self.read, names)
            return
        for at in range(0, len(names), _AT_ONCE):
            yield from self._read_at_once([self._path(name) for name in names[at : at + _AT_ONCE]])

    def _read_at_once(self, paths: Sequence[str]) -> list[bytes]:
        def read() -> list[bytes]:
            # For a single path, fsspec returns its content instead of a dictionary.
            found = self._fs.cat(list(paths)) if len(paths) > 1 else {paths[0]: self._fs.cat_file(paths[0])}
            return [bytes(found[path]) for path in paths]

        return self._tried(read)

    def fetch(self, folder: Path) -> None:
        """Copy all files of the store into a local folder."""
        self._tried(lambda: self._fs.get(self.root + "/", str(folder) + "/", recursive=True))

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically; its folder is created if necessary."""
        if self.is_local:
            place = Path(self._path(name))
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, content)
        else:
            self._tried(lambda: self._fs.pipe_file(self._path(name), content))

    def create(self, name: str, content: bytes) -> bool:
        """Write a new file; returns False if it exists. On a remote store, another writer may win
        in the meantime: read it again before you rely on it."""
        if not self.is_local:
            if self.exists(name):
                return False
            self.write(name, content)
            return True
        place = Path(self._path(name))
        place.parent.mkdir(parents=True, exist_ok=True)
        return create_whole(place, content)

    def put(self, file: Path, name: str) -> None:
        """Move a local file into the store."""
        if self.is_local:
            place = Path(self._path(name))
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.replace(file, place)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with unfinished(place) as part:
                    shutil.copyfile(file, part)
        else:
            self._tried(lambda: self._fs.put_file(str(file), self._path(name)))
        file.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with its contents; does nothing if there is none."""

        def removed() -> None:
            try:
                self._fs.rm(self._path(name), recursive=True)
            except FileNotFoundError as error:
                if not is_missing(error):
                    raise

        self._tried(removed)

    def _path(self, name: str) -> str:
        parts = name.split("/") if name else []
        if any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{name!r} is not a name in {self.url}")
        return "/".join([self.root.rstrip("/"), *parts]) or "/"

    def _tried(self, operation: Callable[[], T], patience_s: float | None = None) -> T:
        """Run an operation, on a remote store with retries while it may still succeed. A failure raises `WorkError`
        with a sentence for the user, or FileNotFoundError."""
        if self.is_local:
            return operation()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_transient),
            wait=tenacity.wait_exponential_jitter(initial=0.2, max=10),
            stop=tenacity.stop_after_delay(self._patience_s if patience_s is None else patience_s),
            reraise=True,
        )
        try:
            return retrying(operation)
        except Exception as error:
            if is_missing(error):
                raise
            raise WorkError(explain(self.url, error)) from error


class _Blocks(io.RawIOBase):
    """A file of `size` bytes, read by ranges."""

    def __init__(self, size: int, block: Callable[[int, int], bytes]) -> None:
        self._size, self._block, self._at = size, block, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readall(self) -> bytes:
        # Python's own would request 8 KiB at a time.
        starts = range(self._at, self._size, _READ_BLOCK)
        content = b"".join(self._block(start, min(start + _READ_BLOCK, self._size)) for start in starts)
        self._at += len(content)
        return content

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        buffer[: end - self._at] = self._block(self._at, end)
        read, self._at = end - self._at, end
        return read


def _connected(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it."""
    protocol = url.partition("://")[0] if "://" in url else "file"
    # Others write there too: cached listings may be stale.
    options = {} if protocol == "file" else {"use_listings_cache": False} | _OPTIONS.get(protocol, {})
    fs, root = fsspec.core.url_to_fs(url, **options)
    return fs, root
