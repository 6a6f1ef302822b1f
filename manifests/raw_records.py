"""The records in the content of a dialogue file: JSONL, a JSON array, a JSON object or Parquet.

Content tells its form, never a name. Records come one by one, in memory that does not grow with the file; what can't be
read comes out as `BrokenRecord` in its place, and the reader continues wherever it can.
"""

import codecs
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

PARQUET = b"PAR1"
MAX_RECORD_BYTES = 64 << 20
"""A longer record is no dialogue, and would not be held in memory."""
CHUNK = 1 << 18

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SPACE = " \t\r\n"
_TOO_LONG = f"over the {MAX_RECORD_BYTES >> 20} MiB that a dialogue may have"


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A place in a file that holds no readable record."""

    reason: str
    message: str


class Readable(Protocol):
    def read(self, length: int, /) -> bytes: ...


class Joined(io.RawIOBase):
    """Bytes that were read ahead, and the stream that they were read from."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = memoryview(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            chunk = self._rest.read(len(buffer))
            buffer[: len(chunk)] = chunk
            return len(chunk)
        taken = min(len(buffer), len(self._head))
        buffer[:taken], self._head = self._head[:taken], self._head[taken:]
        return taken


def read_ahead(stream: Readable, length: int) -> tuple[bytes, io.BufferedReader]:
    """The first bytes of a stream, and a stream that still has them."""
    buffered = io.BufferedReader(Joined(b"", stream), CHUNK)
    head = buffered.read(length)
    return head, io.BufferedReader(Joined(head, buffered), CHUNK)


def read_json(stream: Readable) -> Iterator[tuple[int, Any]]:
    """Yield (position counted from 1, parsed value or `BrokenRecord`) for each record of JSON content.

    The position is the line in JSONL and the record's number elsewhere. An array may be of any size; an object that is
    the whole content, one dialogue or a mapping from ids to dialogues, is held in memory, and so are records.
    """
    head, stream = read_ahead(stream, CHUNK)
    if head.startswith(_UTF16):
        yield 1, BrokenRecord("not_utf8", "The file is UTF-16; save it as UTF-8.")
        return
    if head.startswith(codecs.BOM_UTF8):
        head = head.removeprefix(codecs.BOM_UTF8)
        stream.read(len(codecs.BOM_UTF8))
    start = head.lstrip()[:1]
    if start == b"[":
        yield from _read_array(stream)
    elif start == b"{":
        yield from _read_objects(stream)
    else:
        yield from _read_lines(stream)


def read_parquet(file: BinaryIO) -> Iterator[tuple[int, Any]]:
    """Yield (row counted from 1, the row as a dictionary or `BrokenRecord`) of a seekable Parquet file, some rows at a time."""
    number = 0
    try:
        parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        # What an extension type (such as Ray's pickled objects) makes of bytes may run code; text needs none.
        columns = [field.name for field in parquet.schema_arrow if not _is_extension(field.type)]
        for batch in parquet.iter_batches(batch_size=256, columns=columns, use_threads=False):
            for row in _rows(batch):
                number += 1
                yield number, row
    except (pa.ArrowException, OSError, ValueError) as error:
        detail = " ".join(str(error).split()).rstrip(".")[:300]
        message = f"The Parquet file is damaged from row {number + 1} on: {detail}."
        yield number + 1, BrokenRecord("broken_parquet", message)


def _is_extension(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return True
    return any(_is_extension(kind.field(i).type) for i in range(kind.num_fields))


def _rows(batch: pa.RecordBatch) -> Iterator[Any]:
    try:
        yield from batch.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):  # a value that Python can't hold costs its own row alone
        for at in range(batch.num_rows):
            try:
                (row,) = batch.slice(at, 1).to_pylist()
            except (pa.ArrowException, ValueError, OverflowError) as error:
                row = BrokenRecord("broken_parquet", f"The row holds a value that can't be read: {error}.")
            yield row


def _read_lines(stream: io.BufferedReader) -> Iterator[tuple[int, Any]]:
    # Cut at line feeds only: JSON strings may hold U+2028 and other characters that str.splitlines cuts at.
    number = 0
    while line := stream.readline(MAX_RECORD_BYTES + 1):
        number += 1
        if len(line) > MAX_RECORD_BYTES:
            while line and not line.endswith(b"\n"):
                line = stream.readline(CHUNK)
            yield number, BrokenRecord("too_long", f"Line {number} is {_TOO_LONG}.")
        elif line.strip():
            yield number, _parse(line, number)


def _parse(line: bytes, number: int) -> Any:
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError:
        return BrokenRecord("not_utf8", f"Line {number} holds bytes that are not UTF-8; save the file as UTF-8.")
    except (ValueError, RecursionError) as error:
        place = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return BrokenRecord("broken_json", f"Line {number} is not valid JSON ({_detail(error)}{place}).")


def _detail(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "nested too deep" if isinstance(error, RecursionError) else "it holds a number with too many digits"


def _read_objects(stream: io.BufferedReader) -> Iterator[tuple[int, Any]]:
    """Content that starts with an object: that object where it is all there is, else JSONL."""
    head = stream.readline(MAX_RECORD_BYTES + 1)
    whole = _object(head)
    if whole is None:  # an object of several lines, or JSONL whose first line is broken
        head += stream.read(MAX_RECORD_BYTES + 1 - len(head))
        if len(head) <= MAX_RECORD_BYTES:
            whole = _object(head)
        elif not any(_object(line) for line in head.split(b"\n")[1:-1]):
            yield 1, BrokenRecord("too_long", f"The JSON object is {_TOO_LONG}; write dialogues as JSON lines.")
            return
    rest, stream = read_ahead(stream, CHUNK)
    if whole is None or rest.strip() or len(rest) == CHUNK:
        yield from _read_lines(io.BufferedReader(Joined(head, stream), CHUNK))
    elif whole and all(isinstance(value, dict) for value in whole.values()):
        for number, (key, value) in enumerate(whole.items(), 1):
            yield number, {"id": key, **value}
    else:
        yield 1, whole


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(text.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _read_array(stream: Readable) -> Iterator[tuple[int, Any]]:
    """Elements one by one, so that those before a broken place are kept and the place is named."""
    text, number = _Text(stream), 1
    text.take("[")
    if text.take("]"):
        yield from _nothing_after(text, 1)
        return
    while True:
        if text.next() == "":
            yield number, BrokenRecord("broken_json", "The JSON array has no end; the file was cut short.")
            return
        line = text.line
        try:
            value = text.value()
        except (ValueError, RecursionError) as error:
            detail = _detail(error)
            message = f"Record {number}, at line {line}, is not valid JSON ({detail}); the file can't be read past it."
            yield number, BrokenRecord("broken_json", message)
            return
        yield number, value
        number += 1
        if text.take("]"):
            yield from _nothing_after(text, number)
            return
        if not text.take(",") and text.next():
            message = f"A comma or ']' is missing at line {text.line}; the file can't be read past it."
            yield number, BrokenRecord("broken_json", message)
            return


def _nothing_after(text: "_Text", number: int) -> Iterator[tuple[int, BrokenRecord]]:
    if text.next():
        message = f"More follows the end of the JSON array, at line {text.line}; it can't be read."
        yield number, BrokenRecord("broken_json", message)


class _Text:
    """JSON text read through a sliding buffer that holds one value at a time, and some more."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._scan = json.JSONDecoder().raw_decode
        self._buffer, self._at, self._ended = "", 0, False
        self.line = 1

    def next(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._buffer):
                if (character := self._buffer[self._at]) not in _SPACE:
                    return character
                self.line += character == "\n"
                self._at += 1
            if self._ended:
                return ""
            self._grow()

    def take(self, character: str) -> bool:
        if self.next() != character:
            return False
        self._at += 1
        return True

    def value(self) -> Any:
        """The value that starts here; `BrokenRecord` where it holds bytes that are not UTF-8. Raises ValueError or
        RecursionError where there is no value, or one that is too long."""
        self.next()
        while True:
            try:
                value, end = self._scan(self._buffer, self._at)
            except json.JSONDecodeError:
                if self._ended:
                    raise
                if len(self._buffer) - self._at > MAX_RECORD_BYTES:
                    raise json.JSONDecodeError(f"broken, or {_TOO_LONG}", self._buffer, self._at) from None
            else:
                if self._ended or end + 3 < len(self._buffer):  # a number may go on where the buffer ends
                    break
            self._grow()
        raw = self._buffer[self._at : end]
        self._at = end
        line, self.line = self.line, self.line + raw.count("\n")
        try:
            raw.encode()
        except UnicodeEncodeError:  # how surrogateescape marks them
            return BrokenRecord("not_utf8", f"The record at line {line} holds bytes that are not UTF-8.")
        return value

    def _grow(self) -> None:
        """Drop what was read, and read on: as much as is held, so that a long value is tried a few times only."""
        held = self._buffer[self._at :]
        chunk = self._stream.read(max(CHUNK, len(held)))
        self._ended = not chunk
        self._buffer, self._at = held + self._decode(chunk, final=not chunk), 0
