"""The records of JSON content: JSON lines, arrays and objects, each on one line or several, in any concatenation.

A broken record does not affect the others: reading continues at the next line that starts like a record.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from manifests.json_text import Readable, Text, too_long
from manifests.raw_records import BrokenRecord
from manifests.readers.roles import is_message, role_key
from manifests.readers.shapes import shape_of
from manifests.wrapped import may_hold_many, unwrapped

MOST_MESSAGES = 10_000
"""Longer lists of messages are rejected."""
_QUOTED = 20
"""Number of characters of invalid JSON shown in a message."""

Record = tuple[int, Any]


def read_json(stream: Readable, not_used: Counter[str] | None = None) -> Iterator[Record]:
    """Yield (position from 1, parsed value or `BrokenRecord`) for each record of JSON content.

    The position is the line in JSON lines and the record's number in arrays, and increases. An array or a file of objects
    may be of any size; one record is held in memory: a dialogue, a mapping from ids to dialogues, or an object
    with a list of them, whose other contents are counted in `not_used`."""
    return _Records(Text(stream), Counter() if not_used is None else not_used).read()


class _Records:
    def __init__(self, text: Text, not_used: Counter[str]) -> None:
        self._text, self._not_used = text, not_used
        self._last = 0
        self._open = 0
        """Number of arrays left at a broken place, whose ends are still to come."""
        self._crowded = 0
        """The last line with more than one object, so that it is not copied for each of them."""

    def read(self) -> Iterator[Record]:
        while start := self._text.next():
            if start == "[":
                yield from self._array()
            elif start == "{":
                line = self._text.line
                if (value := self._one_line()) is None:
                    yield from self._object()
                elif may_hold_many(value) or self._text.decoder.repeated:
                    yield from self._found(value, line)
                else:
                    yield self._at(line, value)
            elif start == "]" and self._open:
                self._open -= 1
                self._text.take("]")
            else:
                yield self._line()

    def _at(self, line: int, record: Any) -> Record:
        """A record at its line, or after the last position if that is already beyond it."""
        self._last = max(line, self._last + 1)
        return self._last, record

    def _next(self, record: Any) -> Record:
        self._last += 1
        return self._last, record

    def _line(self) -> Record:
        """A line that starts neither an object nor an array."""
        text, line = self._text, self._text.line
        raw = text.rest_of_line()
        record: Any
        if raw is None:
            record = BrokenRecord("too_long", f"Line {line} is {too_long()}.")
        else:
            try:
                text.check(raw)
                record = text.decoder.decode(raw)
            except (ValueError, RecursionError) as error:
                record = _broken(error, f"Line {line}", _column(error))
        text.skip_line()
        return self._at(line, record)

    def _one_line(self) -> dict[str, Any] | None:
        """The rest of the line if it is an object, as is nearly always the case; None otherwise, without reading
        anything."""
        if self._text.line == self._crowded or (raw := self._text.rest_of_line()) is None:
            return None
        try:
            self._text.check(raw)
            value: dict[str, Any] = self._text.decoder.decode(raw)
        except (ValueError, RecursionError):
            return None
        self._text.skip(len(raw))
        return value

    def _object(self) -> Iterator[Record]:
        """An object on several lines, one of several objects on a line, or a broken one."""
        text, line, column = self._text, self._text.line, self._text.column
        raw = text.rest_of_line() if line != self._crowded else None
        first: Exception | None = None
        if raw is not None:
            self._crowded = line
            try:
                text.check(raw)
                json.loads(raw)
            except UnicodeDecodeError as error:
                text.skip_line()
                yield self._at(line, _broken(error, f"Line {line}"))
                return
            except (ValueError, RecursionError) as error:
                first = error
        try:
            value = text.value()
        except UnicodeDecodeError as error:
            yield self._at(line, _broken(error, f"The record on line {line}"))
        except (ValueError, RecursionError) as error:
            yield self._at(line, self._broken_object(raw, first, error, line, column))
        else:
            yield from self._found(value, line)
            text.take(",")

    def _broken_object(
        self, raw: str | None, first: Exception | None, error: Exception, line: int, column: int
    ) -> BrokenRecord:
        """Report an error and skip it: the line, or all lines of a multi-line object."""
        text = self._text
        at = text.place(error) if isinstance(error, json.JSONDecodeError) else (line, 0)
        open_ended = raw is None or (
            isinstance(first, json.JSONDecodeError)
            and (first.pos >= len(raw.rstrip()) - 1 or first.msg.startswith("Unterminated string"))
        )
        text.skip_line()
        if open_ended or at[0] > line:
            self._skip_to(column)
        last = max(line, text.line - 1)
        if "MiB" in str(error):
            return BrokenRecord("too_long", f"The object on line {line} is {too_long()}.")
        if line < at[0] <= last:
            return _broken(error, f"The object on line {line}", f" at line {at[0]}, column {at[1]}")
        return _broken(first or error, f"Line {line}", _column(first))

    def _skip_to(self, column: int) -> bool:
        """Go to the next line that starts an object or array at or before this column; returns whether there is one."""
        while True:
            indent, start = self._text.indent()
            if start and start in "[{" and indent <= column:
                return True
            before = self._text.line
            self._text.skip_line()
            if self._text.line == before:
                return False

    def _found(self, value: Any, line: int) -> Iterator[Record]:
        """An object, or the dialogues in it."""
        repeated = self._text.decoder.repeated
        inner = unwrapped(value, self._not_used) if value else None
        if inner is None:
            yield self._at(line, _repeated(repeated, line) if repeated else value)
            return
        for record in inner:
            yield self._next(record)
        if repeated:
            yield self._next(_repeated(repeated, line, " The last value of each was used."))

    def _array(self) -> Iterator[Record]:
        """The elements of an array one by one; a list of messages as one dialogue."""
        text, begun = self._text, self._text.line
        text.take("[")
        if text.take("]"):
            text.take(",")
            return
        messages: list[Any] | None = None
        first = True
        while start := text.next():
            line, column = text.line, text.column
            if start == "]":
                yield self._next(
                    BrokenRecord("broken_json", f"There is a comma before the ']' on line {line}; remove it.")
                )
                break
            try:
                value = text.value()
            except UnicodeDecodeError as error:
                value = _broken(error, f"The record on line {line}")
            except (ValueError, RecursionError) as error:
                yield self._leave(
                    _broken(error, f"Record {self._last + 1}, on line {line},", self._place(error, line)),
                    column,
                    messages,
                )
                return
            if first and _is_of_chat(value):
                messages = []
            first = False
            if text.decoder.repeated and not isinstance(value, BrokenRecord):
                value = _repeated(text.decoder.repeated, line)
            if messages is None:
                yield self._next(value)
            elif len(messages) <= MOST_MESSAGES:
                messages.append(value)
            if (end := text.next()) == "]":
                break
            if end and not text.take(","):
                missing = BrokenRecord("broken_json", f"A comma or ']' is missing on line {text.line}.")
                yield self._leave(missing, column, messages, text.line > line)
                return
        if not text.take("]"):
            yield self._next(BrokenRecord("broken_json", "The JSON array has no end; the file is truncated."))
        elif messages is not None:
            yield self._at(begun, _one_dialogue(messages, begun))
        text.take(",")

    def _leave(self, broken: BrokenRecord, column: int, messages: list[Any] | None, here: bool = False) -> Record:
        """Continue after a broken place in an array as if the array had ended: at the next line that starts an
        element, or a dialogue in the case of messages. `here`: the current line may be such a line."""
        text = self._text
        self._open += 1
        column = 0 if messages is not None else column
        if not (here and text.column <= column):
            text.skip_line()
            self._skip_to(column)
        return self._next(broken)

    def _place(self, error: Exception, line: int) -> str:
        """The place of an error in a multi-line record."""
        if not isinstance(error, json.JSONDecodeError):
            return ""
        at = self._text.place(error)
        return f" at line {at[0]}, column {at[1]}" if at[0] > line else ""


def _broken(error: Exception, what: str, where: str = "") -> BrokenRecord:
    if isinstance(error, UnicodeDecodeError):
        return BrokenRecord("not_utf8", f"{what} contains bytes that are not UTF-8; save the file as UTF-8.")
    return BrokenRecord("broken_json", f"{what} is not valid JSON ({_detail(error)}{where}).")


def _repeated(keys: list[str], line: int, read: str = "") -> BrokenRecord:
    """An object with a duplicate key is ambiguous."""
    names = ", ".join(repr(key) for key in dict.fromkeys(keys))
    message = (
        f"The record on line {line} has an object with two different values for {names}; remove one of them.{read}"
    )
    return BrokenRecord("duplicate_key", message)


def _detail(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "nested too deeply" if isinstance(error, RecursionError) else "it contains a number with too many digits"


def _column(error: Exception | None) -> str:
    """The column of an error, and the text found there instead of a value, which shows what kind of text it is."""
    if not isinstance(error, json.JSONDecodeError):
        return ""
    found = error.doc[error.pos :].split("\n")[0].strip()[:_QUOTED] if error.msg == "Expecting value" else ""
    return f" at column {error.colno}" + (f": {found!a}" if found else "")


def _is_of_chat(value: Any) -> bool:
    """Whether an array that starts with it is a dialogue rather than a list of dialogues."""
    if isinstance(value, Mapping):
        return (
            role_key(value) is not None and "parent_id" not in value and is_message(value) and shape_of(value) is None
        )
    return isinstance(value, list) and is_message(value)


def _one_dialogue(messages: list[Any], line: int) -> Any:
    if len(messages) > MOST_MESSAGES:
        return BrokenRecord(
            "too_long",
            f"The list on line {line} has over {MOST_MESSAGES} messages, which is not a dialogue; remove or split it.",
        )
    return next((message for message in messages if isinstance(message, BrokenRecord)), messages)
