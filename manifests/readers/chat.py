"""Lists of messages, with any names for roles and words: the basis of most shapes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from manifests.readers.content import is_silent, text_of
from manifests.readers.reading import Reading, fields_of, rows_of
from manifests.readers.roles import (
    ANSWER_KEYS,
    QUESTION_KEYS,
    ROLE_KEYS,
    ROLES,
    is_pair,
    lowered,
    role_key,
    role_of,
    text_key,
)
from manifests.records import SPEAKERS, BadDialogue, Speaker, Turn

_PLAIN, _SHAREGPT = ("role", "content"), ("from", "value")
_SPOKEN: dict[str, Speaker] = {name: role for name, role in ROLES.items() if role == "user" or role == "agent"}
_MARKS = frozenset(("interrupted", "was_interrupted", "is_interrupted"))
_CALLS = ("tool_calls", "tool_results", "function_call", "tool_call")
_INTERRUPTION = "interruptions without a following user turn"


def read_chat(messages: Any, name: str, reading: Reading) -> None:
    """The messages of the field `name`; raises `BadDialogue` if they are invalid."""
    if isinstance(messages, str) and messages.lstrip().startswith("["):
        try:
            messages = json.loads(messages)
        except (ValueError, RecursionError):
            raise BadDialogue(
                "wrong_type", f"'{name}' is a string, but not a JSON list of messages; use a list."
            ) from None
    rows = rows_of(messages)
    if rows is None:
        raise BadDialogue("wrong_type", f"'{name}' must be a list of messages.")
    _Chat(name, reading).read(rows)


def read_lines(lines: Sequence[Any], reading: Reading, first: Speaker = "user") -> None:
    """Alternating turns."""
    offset = SPEAKERS.index(first)
    for number, line in enumerate(lines, 1):
        reading.say(SPEAKERS[(number - 1 + offset) % 2], text_of(line, number, reading))


class _Chat:
    """Reads a list of messages; remembers whether the agent's last turn was interrupted."""

    def __init__(self, name: str, reading: Reading) -> None:
        self._name, self._reading = name, reading
        self._interrupted = False

    def read(self, messages: Sequence[Any]) -> None:
        if len(messages) > 1 and all(isinstance(message, str) for message in messages):
            read_lines(messages, self._reading)
            return
        turns = self._reading.turns
        for number, message in enumerate(messages, 1):
            if type(message) is dict and len(message) == 2 and not self._interrupted:
                key, words = _PLAIN if "role" in message else _SHAREGPT
                if key in message and words in message:  # by far the most common case
                    role, content = message[key], message[words]
                    speaker = _SPOKEN.get(role) if type(role) is str else None
                    if speaker is not None and type(content) is str and "<" not in content and "INST]" not in content:
                        if not content or content.isspace():
                            self._reading.say(speaker, content)
                        else:
                            turns.append(Turn(speaker, content))
                    else:
                        self._add(role, key, content, number)
                    continue
            self._message(message, number)
        self._note_interruption()

    def _add(self, role: Any, key: str, content: Any, number: int, interrupted: bool = False) -> None:
        known = ROLES.get(role) if type(role) is str else None
        speaker = known or role_of(role)
        if speaker is None:
            message = f"Message {number} has {key} {role!r}; use user, human, assistant, agent or another usual name."
            raise BadDialogue("wrong_role", message)
        if speaker == "silent":
            self._reading.leave("tool messages")
            return
        text = text_of(content, number, self._reading)
        if is_silent(content):
            self._reading.leave("silent turns")
            return
        if speaker == "system":
            self._reading.prompt(text)
            return
        barges_in = self._interrupted and speaker == "user"
        if barges_in:
            self._interrupted = False
        elif self._interrupted:
            self._note_interruption()
        self._reading.say(speaker, text, barges_in=barges_in)
        self._interrupted = interrupted and speaker == "agent"
        if interrupted and speaker == "user":
            self._reading.leave(f"{self._name}.interrupted of a user")

    def _note_interruption(self) -> None:
        if self._interrupted:
            self._reading.leave(_INTERRUPTION)
        self._interrupted = False

    def _message(self, message: Any, number: int) -> None:
        if isinstance(message, list | tuple) and len(message) == 2 and isinstance(message[0], str):
            self._add(message[0], "role", message[1], number)
            return
        if not isinstance(message, Mapping):
            raise BadDialogue("wrong_type", f"Message {number} of '{self._name}' must be an object.")
        key = role_key(message)
        if key is None:
            lower = lowered(message)
            if role_key(lower) is not None:
                message, key = lower, role_key(lower)
        if key is not None:
            self._keyed(message, key, number)
        elif is_pair(message):
            self._pair(message, number)
        elif not self._left_out(message) and not self._by_roles(message, number):
            message_ = f"Message {number} of '{self._name}' has the keys {fields_of(message)}; add one of {', '.join(ROLE_KEYS)}."
            raise BadDialogue("wrong_role", message_)

    def _keyed(self, message: Mapping[str, Any], key: str, number: int) -> None:
        """A message with a role, words and other API fields."""
        where = f"{self._name}."
        words = text_key(message)
        content = message[words] if words else None
        marked = any(message.get(mark) is True for mark in _MARKS) or (
            message.get("object") == "realtime.item" and message.get("status") == "incomplete"
        )
        used = {key, words or key, *(mark for mark in _MARKS if isinstance(message.get(mark), bool))}
        whole = message.get("original_message")  # ElevenLabs: `message` is the part that was heard
        if marked and isinstance(whole, str) and whole.strip():
            content, used = whole, (used - {words or key}) | {"original_message"}
        if role_of(message[key]) == "silent":
            self._reading.leave("tool messages")
            return
        if isinstance(author := message[key], Mapping):
            self._reading.leave_rest(author, ("role",), f"{where}{key}.")
        self._reading.leave_rest(message, used, where)
        if content in (None, "", []) and any(message.get(call) for call in _CALLS):
            self._reading.leave("silent turns")
            return
        self._add(message[key], key, content, number, marked)

    def _pair(self, message: Mapping[str, Any], number: int) -> None:
        """A question and its answer as one message, as in DialogStudio and XTuner."""
        question = next(key for key in QUESTION_KEYS if key in message)
        answer = next(key for key in ANSWER_KEYS if key in message)
        used = {question, answer, "system", "turn id"}
        self._reading.prompt(text_of(message.get("system"), number, self._reading))
        for key, role in ((question, "user"), (answer, "assistant")):
            if message[key]:
                self._add(role, key, message[key], number)
        self._reading.leave_rest(message, used, f"{self._name}.")

    def _left_out(self, message: Mapping[str, Any]) -> bool:
        """Whether it is a log item that is not a message, such as LiveKit's function calls and handoffs."""
        kind = message.get("type")
        if not isinstance(kind, str) or kind == "message" or text_key(message) in ("content", "text", "value"):
            return False
        self._reading.leave(
            "tool messages" if "function" in kind or "tool" in kind else f"{self._name} of type {kind}"[:60]
        )
        return True

    def _by_roles(self, message: Mapping[str, Any], number: int) -> bool:
        """A message with its role as the key: `{"human": "…"}`."""
        found = [(key, role) for key in message if isinstance(key, str) and (role := role_of(key))]
        for key, _ in found:
            self._add(key, "role", message[key], number)
        if found:
            self._reading.leave_rest(message, [key for key, _ in found], f"{self._name}.")
        return bool(found)
