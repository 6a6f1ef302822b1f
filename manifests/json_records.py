"""The records of JSON content: JSON lines, arrays, objects, each over one line or several, and any of them put end to
end.

What is broken costs itself alone. Behind it reading continues at the next line that begins as a record does.
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
"""A longer list of messages is no dialogue."""
_QUOTED = 20
"""So many characters of what is no JSON are shown."""

Record = tuple[int, Any]


def read_json(stream: Readable, not_used: Counter[str] | None = None) -> Iterator[Record]:
    """Yield (position counted from 1, parsed value or `BrokenRecord`) for each record of JSON content.

    The position is the line in JSON lines and the record's number in arrays, and grows. An array or a file of objects
    may be of any size; one record is held in memory, be it a dialogue, a mapping from ids to dialogues, or an object
    that holds a list of them: what such an object holds beside is counted in `not_used`."""
    return _Records(Text(stream), Counter() if not_used is None else not_used).read()


class _Records:
    def __init__(self, text: Text, not_used: Counter[str]) -> None:
        self._text, self._not_used = text, not_used
        self._last = 0
        self._open = 0
        """Arrays that were left where something is broken: their ends still come."""
        self._crowded = 0
        """The last line that is not one object alone: it is not to be copied for each of several."""

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
        """A record at its line, or behind the last one where that has come so far already."""
        self._last = max(line, self._last + 1)
        return self._last, record

    def _next(self, record: Any) -> Record:
        self._last += 1
        return self._last, record

    def _line(self) -> Record:
        """A line that begins as neither an object nor an array."""
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
        """The object that the rest of the line is, as nearly always; None if it is something else, and nothing is
        read."""
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
        """An object over several lines, or one of several on a line, or a broken one."""
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
            yield self._at(line, _broken(error, f"The record at line {line}"))
        except (ValueError, RecursionError) as error:
            yield self._at(line, self._broken_object(raw, first, error, line, column))
        else:
            yield from self._found(value, line)
            text.take(",")

    def _broken_object(
        self, raw: str | None, first: Exception | None, error: Exception, line: int, column: int
    ) -> BrokenRecord:
        """Tell what is wrong, and go behind it: the line alone, or all lines of an object that has several."""
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
            return BrokenRecord("too_long", f"The object at line {line} is {too_long()}.")
        if line < at[0] <= last:
            return _broken(error, f"The object at line {line}", f" at line {at[0]}, column {at[1]}")
        return _broken(first or error, f"Line {line}", _column(first))

    def _skip_to(self, column: int) -> bool:
        """Go to the next line that begins an object or array at this column, or before it; whether there is one."""
        while True:
            indent, start = self._text.indent()
            if start and start in "[{" and indent <= column:
                return True
            before = self._text.line
            self._text.skip_line()
            if self._text.line == before:
                return False

    def _found(self, value: Any, line: int) -> Iterator[Record]:
        """An object, or the dialogues that it holds."""
        repeated = self._text.decoder.repeated
        inner = unwrapped(value, self._not_used) if value else None
        if inner is None:
            yield self._at(line, _repeated(repeated, line) if repeated else value)
            return
        for record in inner:
            yield self._next(record)
        if repeated:
            yield self._next(_repeated(repeated, line, " The last one of each was read."))

    def _array(self) -> Iterator[Record]:
        """The elements of an array one by one; messages all together, as they are one dialogue."""
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
                    BrokenRecord("broken_json", f"A comma stands before the ']' at line {line}; remove it.")
                )
                break
            try:
                value = text.value()
            except UnicodeDecodeError as error:
                value = _broken(error, f"The record at line {line}")
            except (ValueError, RecursionError) as error:
                yield self._leave(
                    _broken(error, f"Record {self._last + 1}, at line {line},", self._place(error, line)),
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
                missing = BrokenRecord("broken_json", f"A comma or ']' is missing at line {text.line}.")
                yield self._leave(missing, column, messages, text.line > line)
                return
        if not text.take("]"):
            yield self._next(BrokenRecord("broken_json", "The JSON array has no end; the file was cut short."))
        elif messages is not None:
            yield self._at(begun, _one_dialogue(messages, begun))
        text.take(",")

    def _leave(self, broken: BrokenRecord, column: int, messages: list[Any] | None, here: bool = False) -> Record:
        """Go on behind what is broken in an array, as if the array had ended: at the next line where an element
        begins, or a dialogue where they are messages. `here`: the line where it stands may be such a line."""
        text = self._text
        self._open += 1
        column = 0 if messages is not None else column
        if not (here and text.column <= column):
            text.skip_line()
            self._skip_to(column)
        return self._next(broken)

    def _place(self, error: Exception, line: int) -> str:
        """Where in a record of several lines an error is."""
        if not isinstance(error, json.JSONDecodeError):
            return ""
        at = self._text.place(error)
        return f" at line {at[0]}, column {at[1]}" if at[0] > line else ""


def _broken(error: Exception, what: str, where: str = "") -> BrokenRecord:
    if isinstance(error, UnicodeDecodeError):
        return BrokenRecord("not_utf8", f"{what} holds bytes that are not UTF-8; save the file as UTF-8.")
    return BrokenRecord("broken_json", f"{what} is not valid JSON ({_detail(error)}{where}).")


def _repeated(keys: list[str], line: int, read: str = "") -> BrokenRecord:
    """Which of its values an object with a key twice stands for, nobody knows."""
    names = ", ".join(repr(key) for key in dict.fromkeys(keys))
    message = (
        f"The record at line {line} has an object with two different values for {names}; remove one of them.{read}"
    )
    return BrokenRecord("duplicate_key", message)


def _detail(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "nested too deep" if isinstance(error, RecursionError) else "it holds a number with too many digits"


def _column(error: Exception | None) -> str:
    """Where in its line an error is, and what stands there in place of a value: what is no JSON at all shows what it
    is."""
    if not isinstance(error, json.JSONDecodeError):
        return ""
    found = error.doc[error.pos :].split("\n")[0].strip()[:_QUOTED] if error.msg == "Expecting value" else ""
    return f" at column {error.colno}" + (f": {found!a}" if found else "")


def _is_of_chat(value: Any) -> bool:
    """Whether an array that begins with it is a dialogue, and not a list of them."""
    if isinstance(value, Mapping):
        return (
            role_key(value) is not None and "parent_id" not in value and is_message(value) and shape_of(value) is None
        )
    return isinstance(value, list) and is_message(value)


def _one_dialogue(messages: list[Any], line: int) -> Any:
    if len(messages) > MOST_MESSAGES:
        return BrokenRecord(
            "too_long", f"The list at line {line} has over {MOST_MESSAGES} messages; that is no dialogue."
        )
    return next((message for message in messages if isinstance(message, BrokenRecord)), messages)
