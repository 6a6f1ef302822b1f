"""Atomic file writing, and file hashes."""

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
    """A temporary name next to `path` for writing a file or folder; renamed to `path` after the block, removed if it
    fails."""
    with _part(path) as part:
        yield part
        os.replace(part, path)


def is_unfinished(name: str) -> bool:
    """Whether a file name was made by `unfinished`."""
    return name.startswith(".") and name.endswith(".part")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file with these bytes, replacing any existing one."""
    with unfinished(path) as part:
        part.write_bytes(content)


def create_whole(path: Path, content: bytes) -> bool:
    """Write a new file; returns False if it exists."""
    with _part(path) as part:
        part.write_bytes(content)
        try:
            os.link(part, path)
        except FileExistsError:
            return False
    return True


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex; cached as long as the file does not change."""
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
