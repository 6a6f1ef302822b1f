"""JSON text in any Unicode encoding, read through a sliding buffer that holds little more than one value."""

import codecs
import json
import re
from collections.abc import Callable
from typing import Any, Protocol

MAX_RECORD_BYTES = 64 << 20
"""Longer records are rejected, since they would not fit in memory."""
CHUNK = 1 << 18

_WIDE = 1_000
"""Maximum indentation of a record."""
_SPACES = re.compile("[ \t\r\n\ufeff\x1e]*")
"""Between records: spaces, byte order marks (from concatenated files) and the separator of JSON text sequences."""
_INDENT = re.compile("[ \t\r\ufeff\x1e]*")
_MARKED = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is a prefix of it
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BAD = "\udcff"
"""Represents undecodable bytes, as in `surrogateescape`."""


def too_long() -> str:
    return f"over the limit of {MAX_RECORD_BYTES >> 20} MiB for a dialogue"


class Readable(Protocol):
    def read(self, length: int, /) -> bytes: ...


class Decoder:
    """Decodes JSON, and reports duplicate keys, of which the last one counts, as everywhere."""

    def __init__(self) -> None:
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object)
        self.repeated: list[str] = []
        """The duplicate keys with different values in the last decoded text."""

    def decode(self, text: str) -> Any:
        """The value of the whole text; raises ValueError or RecursionError."""
        self.repeated = []
        return self._decoder.decode(text)

    def scan(self, text: str, at: int) -> tuple[Any, int]:
        """The value that starts at a place, and its end; raises ValueError or RecursionError."""
        self.repeated = []
        return self._decoder.raw_decode(text, at)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            self.repeated += [key for key, value in pairs if value is not made[key] and value != made[key]]
        return made


class Text:
    """A position in a text, with lines counted from 1. Only `value` raises errors."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.decoder = Decoder()
        self._decode, self._ahead = _decoder(stream)
        self._buffer, self._at, self._ended, self._dirty = "", 0, False, False
        self.line = 1

    def next(self) -> str:
        """The next non-space character; empty at the end."""
        while True:
            end = _SPACES.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if end > self._at:
                self.line += self._buffer.count("\n", self._at, end)
                self._at = end
            if end < len(self._buffer):
                return self._buffer[end]
            if self._ended:
                return ""
            self._grow()

    def take(self, character: str) -> bool:
        if self.next() != character:
            return False
        self._at += 1
        return True

    def rest_of_line(self) -> str | None:
        """The rest of the line; None if it is too long to hold."""
        while (end := self._buffer.find("\n", self._at)) < 0 and not self._ended:
            if len(self._buffer) - self._at > MAX_RECORD_BYTES:
                return None
            self._grow()
        rest = self._buffer[self._at : end if end >= 0 else None]
        return rest if len(rest) <= MAX_RECORD_BYTES else None

    def skip(self, length: int) -> None:
        """Skip this many characters of the line."""
        self._at += length

    def skip_line(self) -> None:
        """Go to the start of the next line."""
        while (end := self._buffer.find("\n", self._at)) < 0:
            self._at = len(self._buffer)
            if self._ended:
                return
            self._grow()
        self._at, self.line = end + 1, self.line + 1

    def indent(self) -> tuple[int, str]:
        """The indentation of the line that starts here, and its first character, which is empty at the end of a line
        or of the text."""
        while True:
            end = _INDENT.match(self._buffer, self._at).end()  # type: ignore[union-attr]
            if end < len(self._buffer) or self._ended:
                return end - self._at, self._buffer[end : end + 1].strip()
            self._grow()

    @property
    def column(self) -> int:
        """The number of characters before this one in the line, up to `_WIDE`."""
        return self._at - self._line_start()

    def _line_start(self) -> int:
        from_ = max(0, self._at - _WIDE)
        return max(from_, self._buffer.rfind("\n", from_, self._at) + 1)

    def value(self) -> Any:
        """The value that starts here. Raises ValueError or RecursionError if there is none, or if it is too
        long, and `UnicodeDecodeError`, positioned after the value, if it contains undecodable bytes."""
        self.next()
        while True:
            try:
                value, end = self.decoder.scan(self._buffer, self._at)
            except json.JSONDecodeError as error:
                # If the buffer ends within the value, the error is at its end, or is an unterminated string.
                cut = error.msg.startswith("Unterminated string") or error.pos + 16 >= len(self._buffer)
                if self._ended or not cut:
                    raise
                if len(self._buffer) - self._at > MAX_RECORD_BYTES:
                    raise json.JSONDecodeError(f"broken, or {too_long()}", self._buffer, self._at) from None
            else:
                if self._ended or end + 3 < len(self._buffer):  # a number may continue beyond the buffer
                    break
            self._grow()
        raw = self._buffer[self._at : end]
        self._at = end
        self.line += raw.count("\n")
        self.check(raw)
        return value

    def check(self, raw: str) -> None:
        """Raise `UnicodeDecodeError` if a part of the text contains undecodable bytes."""
        if self._dirty:
            try:
                raw.encode()
            except UnicodeEncodeError as error:
                raise UnicodeDecodeError("utf-8", b"", error.start, error.end, "undecodable bytes") from None

    def place(self, error: json.JSONDecodeError) -> tuple[int, int]:
        """Line and column of an error of `value`, from 1."""
        line = self.line + error.doc.count("\n", self._at, error.pos)
        return line, error.pos - error.doc.rfind("\n", 0, error.pos)

    def _grow(self) -> None:
        """Drop what was read, and double the buffer, so that a long value is parsed only a few times."""
        start = self._line_start()  # the start of the line is needed for the column
        held = self._buffer[start:]
        chunk = self._ahead or self._stream.read(max(CHUNK, len(held)))
        self._ahead, self._ended = b"", not chunk
        new = self._decode(chunk, not chunk)
        self._buffer, self._at = held + new, self._at - start
        self._dirty = (self._dirty and bool(held)) or not _is_clean(new)


def _is_clean(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decoder(stream: Readable) -> tuple[Callable[[bytes, bool], str], bytes]:
    """A decoder for a stream, by its byte order mark or the positions of its zero bytes, and the bytes after the mark."""
    head = stream.read(CHUNK)
    while head and len(head) < 4 and (more := stream.read(CHUNK)):
        head += more
    for mark, name in _MARKED:
        if head.startswith(mark):
            return _decode_as(name), head[len(mark) :]
    zeros = [not byte for byte in head[:4]]
    if len(zeros) == 4 and zeros in ([True, True, True, False], [False, True, True, True]):
        return _decode_as("utf-32-be" if zeros[0] else "utf-32-le"), head
    if zeros[:2] in ([True, False], [False, True]) and zeros[2:] in ([], zeros[:2]):
        return _decode_as("utf-16-be" if zeros[0] else "utf-16-le"), head
    return _decode_as("utf-8"), head


def _decode_as(name: str) -> Callable[[bytes, bool], str]:
    decode = codecs.getincrementaldecoder(name)("surrogateescape" if name == "utf-8" else "surrogatepass").decode
    if name == "utf-8":
        return decode

    def careful(chunk: bytes, final: bool) -> str:
        try:
            return decode(chunk, final)
        except UnicodeDecodeError:  # an incomplete character at the end, or an invalid code point
            return chunk.decode(name, "replace").replace("\ufffd", _BAD) + _BAD

    return careful
