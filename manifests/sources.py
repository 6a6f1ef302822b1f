"""Opening dialogue files: local or any fsspec URL, plain, gzip or zstd, JSONL, JSON or Parquet.

What a file holds is told by its first bytes, never by its name alone. Nothing is skipped in silence: what can't be
parsed comes out as `BrokenRecord` in its place.
"""

import gzip
import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import fsspec
import pyarrow.parquet as pq
import zstandard

GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A place in a file that holds no readable record."""

    reason: str
    message: str


class UnreadableInput(ValueError):
    """An input file that can't be opened at all."""


def read_bytes(url: str) -> bytes:
    """The whole decompressed content of a local path or fsspec URL; raises `UnreadableInput`."""
    try:
        with fsspec.open(url, "rb") as file:
            data: bytes = file.read()
    except FileNotFoundError:
        raise UnreadableInput(f"The input {url} does not exist; check the path.") from None
    except IsADirectoryError:
        raise UnreadableInput(f"The input {url} is a folder; name the files in it.") from None
    except PermissionError:
        raise UnreadableInput(f"The input {url} may not be read; check its permissions.") from None
    except (OSError, ImportError, ValueError) as error:
        raise UnreadableInput(f"The input {url} can't be opened: {error}.") from error
    try:
        if data.startswith(GZIP):
            return gzip.decompress(data)
        if data.startswith(ZSTD):
            return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise UnreadableInput(f"The input {url} is damaged, its compression can't be undone: {error}.") from error
    return data


def read_records(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (position counted from 1, parsed object or `BrokenRecord`) for each record of a file's content.

    The position is the line in JSONL and the record's number elsewhere.
    """
    if data.startswith(PARQUET):
        yield from _read_parquet(data)
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        yield line, BrokenRecord("not_utf8", f"Line {line} holds bytes that are not UTF-8; save the file as UTF-8.")
        return
    start = text.lstrip()[:1]
    if start == "[":
        yield from _read_array(text)
    elif start == "{" and (whole := _whole_object(text)) is not None:
        yield from _read_object(whole)
    else:
        yield from _read_lines(text)


def fingerprint(data: bytes) -> str:
    """SHA-256 of a file's decompressed content."""
    return hashlib.sha256(data).hexdigest()


def base_name(url: str) -> str:
    """The last part of a path or URL, without any of its suffixes: `s3://b/chat.jsonl.gz` gives `chat`."""
    return PurePosixPath(url.replace(os.sep, "/")).name.split(".")[0] or "dialogues"


def _read_lines(text: str) -> Iterator[tuple[int, Any]]:
    # Split on line feeds only: JSON strings may hold U+2028 and other characters that str.splitlines cuts at.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, _parse(line, number)


def _parse(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        detail = (
            f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else "nested too deep"
        )
        return BrokenRecord("broken_json", f"Line {number} is not valid JSON ({detail}).")


def _whole_object(text: str) -> dict[str, Any] | None:
    """The file as one JSON object, or None where it is not one (JSONL, or broken)."""
    try:
        whole = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    return whole if isinstance(whole, dict) else None


def _read_object(whole: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    """A single dialogue, or an object that maps each dialogue's id to it."""
    if whole and all(isinstance(value, dict) for value in whole.values()):
        for number, (key, value) in enumerate(whole.items(), 1):
            yield number, {"id": key, **value}
    else:
        yield 1, whole


def _read_array(text: str) -> Iterator[tuple[int, Any]]:
    """Elements one by one, so that those before a broken place are kept and the place is named."""
    decoder = json.JSONDecoder()
    at, number = text.index("[") + 1, 1
    while True:
        at = _skip(text, at, " \t\r\n,")
        if at >= len(text):
            yield number, BrokenRecord("broken_json", "The JSON array has no end; the file was cut short.")
            return
        if text[at] == "]":
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            detail = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
            line = text.count("\n", 0, at) + 1
            message = f"Record {number}, at line {line}, is not valid JSON ({detail}); the file can't be read past it."
            yield number, BrokenRecord("broken_json", message)
            return
        yield number, value
        number += 1


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _read_parquet(data: bytes) -> Iterator[tuple[int, Any]]:
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        number = 0
        for batch in file.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (OSError, ValueError) as error:
        yield 1, BrokenRecord("broken_parquet", f"The Parquet file is damaged: {error}.")
