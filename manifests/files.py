"""Files that a reader finds whole or not at all, and what identifies a file's content."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path


def cache_folder(name: str) -> str:
    """`salm-duplex/NAME` in the user's cache folder, by the XDG base directory specification."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return f"{base}/salm-duplex/{name}"


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A name beside `path` under which to write a file or a folder; renamed to `path` after the block, removed if it fails."""
    with _part(path) as part:
        yield part
        os.replace(part, path)


def is_unfinished(name: str) -> bool:
    """Whether a file's name is one that `unfinished` gave."""
    return name.startswith(".") and name.endswith(".part")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file of these bytes, in place of any that is there."""
    with unfinished(path) as part:
        part.write_bytes(content)


def create_whole(path: Path, content: bytes) -> bool:
    """Write a file that is not there yet; False where there is one."""
    with _part(path) as part:
        part.write_bytes(content)
        try:
            os.link(part, path)
        except FileExistsError:
            return False
    return True


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex; read once as long as the file stays as it is."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        yield part
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
