"""A folder at a local path or any fsspec URL: the one way in which corpora are written and read.

A file appears whole or not at all: locally it is written beside its place and renamed into it, on an object store a PUT
does the same. Operations on a remote store are idempotent and tried again while the store is slow, busy or away.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import fsspec
import tenacity

from manifests.files import create_whole, is_unfinished, unfinished, write_whole

T = TypeVar("T")

PATIENCE_S = 180.0
"""How long a remote store may be away before an operation fails."""

_AT_ONCE = 200

_FINAL = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ImportError,
    ValueError,
)
_FINAL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG)


class Store:
    """A folder, local or remote. Names are relative to it, with `/` between their parts."""

    def __init__(self, url: str | Path, patience_s: float = PATIENCE_S) -> None:
        """Raises ImportError where the URL's protocol needs a package, ValueError where there is no such protocol."""
        self.url = str(url).rstrip("/") or "/"
        self._fs, root = fsspec.core.url_to_fs(self.url)
        self.root = root.rstrip("/") or "/"
        self.is_local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))
        self._patience_s = 0.0 if self.is_local else patience_s

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
        return Store(self.at(name))

    def exists(self, name: str = "") -> bool:
        return self._tried(lambda: bool(self._fs.exists(self._path(name))))

    def names(self, folder: str = "") -> list[str]:
        """The names of what a folder holds, in order, without what is being written; none where there is no folder."""

        if self.is_local:
            place = Path(self._path(folder))
            found = os.listdir(place) if place.is_dir() else []
            return sorted(name for name in found if not is_unfinished(name))

        def listed() -> list[str]:
            self._fs.invalidate_cache(self._path(folder))
            try:
                found = self._fs.ls(self._path(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
            return sorted(
                name for path in found if not is_unfinished(name := path.rstrip("/").rsplit("/", 1)[-1]) and name
            )

        return self._tried(listed)

    def read(self, name: str) -> bytes:
        return self._tried(lambda: bytes(self._fs.cat_file(self._path(name))))

    def read_with(self, name: str, use: Callable[[BinaryIO], T]) -> T:
        """What `use` makes of a file that it reads by parts; it begins again where a remote store fails."""

        def used() -> T:
            with self._fs.open(self._path(name), "rb") as file:
                return use(file)

        return self._tried(used)

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
        """Write a file that is not there yet; False where there is one. On a remote store another writer may win meanwhile:
        read it again before you rely on it."""
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
            self._fs.invalidate_cache()
            try:
                self._fs.rm(self._path(name), recursive=True)
            except FileNotFoundError:
                return

        self._tried(removed)

    def _path(self, name: str) -> str:
        parts = name.split("/") if name else []
        if any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{name!r} is not a name in {self.url}")
        return "/".join([self.root.rstrip("/"), *parts]) or "/"

    def _tried(self, operation: Callable[[], T]) -> T:
        if not self._patience_s:
            return operation()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_transient),
            wait=tenacity.wait_exponential_jitter(initial=0.2, max=10),
            stop=tenacity.stop_after_delay(self._patience_s),
            reraise=True,
        )
        return retrying(operation)


def is_transient(error: BaseException) -> bool:
    """Whether a store may well do a moment later what it just failed to do."""
    if isinstance(error, _FINAL) or not isinstance(error, Exception):
        return False
    return getattr(error, "errno", None) not in _FINAL_ERRNOS
