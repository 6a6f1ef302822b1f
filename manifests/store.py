"""A folder at a local path or any fsspec URL: the one way in which corpora are written and read.

A file appears whole or not at all: locally it is written beside its place and renamed into it, on an object store a PUT
does the same. Operations on a remote store are idempotent and tried again while the store is slow, busy or away.
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
"""How long a remote store may be away before an operation fails."""

FIRST_PATIENCE_S = 30.0
"""How long it may be away when it is first asked for."""

_AT_ONCE = 200
_READ_BLOCK = 8 * 2**20
_S3_OPTIONS = {"max_concurrency": 2}  # parts of 50 MiB that a large file goes up in; s3fs would hold ten in memory
_OPTIONS: dict[str, dict[str, Any]] = {"s3": _S3_OPTIONS, "s3a": _S3_OPTIONS}


class Store:
    """A folder, local or remote. Names are relative to it, with `/` between their parts."""

    def __init__(self, url: str | Path, patience_s: float = PATIENCE_S) -> None:
        """Raises `RequestError` if there is no such protocol, or a package for it is not installed."""
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
        # A connection is of one process: a forked one makes its own, and so does one on another machine.
        if self._process != os.getpid():
            self._connection, _ = _connected(self.absolute)
            self._process = os.getpid()
        return self._connection

    def check(self) -> None:
        """Raise `RequestError` unless the store answers and may be listed; there need not be anything in it yet."""
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
        """What opens the same store from any working folder."""
        return self.root if self.is_local else self.url

    def at(self, name: str) -> str:
        """The full path or URL of a file or folder in the store."""
        return f"{self.url}/{name}" if name else self.url

    def folder(self, name: str) -> "Store":
        return Store(self.at(name), self._patience_s)

    def exists(self, name: str = "") -> bool:
        def found() -> bool:
            # Some stores' own `exists` answers no where it could not ask.
            try:
                self._fs.info(self._path(name))
            except (FileNotFoundError, NotADirectoryError) as error:
                if not is_missing(error):
                    raise
                return False
            return True

        return self._tried(found)

    def names(self, folder: str = "") -> list[str]:
        """The names of what a folder holds, in order, without what is being written; none where there is no folder."""

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
        """The names of all files at any depth, or of those that a pattern matches, in order; `[""]` where the store is
        itself a file, and none where there is nothing."""

        def found() -> list[str]:
            if pattern:
                matches = self._fs.glob(f"{self.root}/{pattern}", detail=True)
                return [path for path, info in matches.items() if info["type"] != "directory"]
            return list(self._fs.find(self.root))

        return sorted(path.removeprefix(self.root).lstrip("/") for path in self._tried(found))

    def read(self, name: str) -> bytes:
        return self._tried(lambda: bytes(self._fs.cat_file(self._path(name))))

    def open(self, name: str, block_bytes: int = _READ_BLOCK) -> BinaryIO:
        """Read a file piece by piece. A remote one comes in blocks of this size, each asked for by itself and tried
        again, so that a connection that breaks in the middle neither ends the work nor the file; small ones suit a
        reader that seeks."""
        path = self._path(name)
        if self.is_local:
            return open(path, "rb")
        size = self._tried(lambda: self._fs.info(path)["size"])
        if size is None:  # a web server need not say
            return io.BytesIO(self.read(name))

        def block(start: int, end: int) -> bytes:
            found = bytes(self._fs.cat_file(path, start=start, end=end))
            if len(found) != end - start:
                raise OSError(f"{len(found)} bytes came where {end - start} were asked for")
            return found

        blocks = _Blocks(size, lambda start, end: self._tried(lambda: block(start, end)))
        return io.BufferedReader(blocks, block_bytes)

    def read_many(self, names: Sequence[str]) -> Iterator[bytes]:
        """The content of many files, in order; a remote store is asked for many at once, and few are held."""
        if self.is_local:
            yield from map(self.read, names)
            return
        for at in range(0, len(names), _AT_ONCE):
            yield from self._read_at_once([self._path(name) for name in names[at : at + _AT_ONCE]])

    def _read_at_once(self, paths: Sequence[str]) -> list[bytes]:
        def read() -> list[bytes]:
            # For one path alone fsspec gives its content instead of a dictionary.
            found = self._fs.cat(list(paths)) if len(paths) > 1 else {paths[0]: self._fs.cat_file(paths[0])}
            return [bytes(found[path]) for path in paths]

        return self._tried(read)

    def fetch(self, folder: Path) -> None:
        """Copy all files of the store into a local folder."""
        self._tried(lambda: self._fs.get(self.root + "/", str(folder) + "/", recursive=True))

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole; its folder is made where there is none."""
        if self.is_local:
            place = Path(self._path(name))
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, content)
        else:
            self._tried(lambda: self._fs.pipe_file(self._path(name), content))

    def create(self, name: str, content: bytes) -> bool:
        """Write a file that is not there yet; False where there is one. On a remote store another writer may win
        meanwhile: read it again before you rely on it."""
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
        """Remove a file, or a folder with all it holds; nothing happens where there is none."""

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
        """Do it, on a remote store again and again while it may yet succeed. What then fails raises `WorkError` with the
        sentence for the user; what is not there FileNotFoundError."""
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
    """A file of `size` bytes, any range of which can be asked for."""

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
        # Python's own would ask for 8 KiB at a time.
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
    # Others write there too: what a listing said a moment ago says nothing now.
    options = {} if protocol == "file" else {"use_listings_cache": False} | _OPTIONS.get(protocol, {})
    fs, root = fsspec.core.url_to_fs(url, **options)
    return fs, root
