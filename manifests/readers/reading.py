"""What a reader finds in one record: turns, a system prompt, and counts of everything unused."""

import re
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from typing import Any

from manifests.records import Speaker, Turn

NAMES = {
    "tools": "tools",
    "functions": "tools",
    "tool_calls": "tool calls",
    "tool_results": "tool calls",
    "function_call": "tool calls",
    "images": "images",
    "image": "images",
    "rejected": "rejected answers",
    "rejected_response": "rejected answers",
    "reasoning_content": "thoughts",
    "reasoning": "thoughts",
    "reasoning_details": "thoughts",
    "thinking": "thoughts",
    "thought": "thoughts",
    "thoughts": "thoughts",
}
"""Descriptions of the contents of these keys, anywhere; other keys are named as written."""
LONGEST_NAME = 60
MOST_NAMES = 200
"""This many different things are counted by name per input, and the rest together."""
OTHER = "other fields"

_THOUGHT = re.compile(r"<(/?)(think|thinking|reasoning|thought)>(?=([^\S\n]*(?:\n|\Z))?)", re.IGNORECASE)
_TOKEN = re.compile(
    r"<\|(?:im_start|start_header_id)\|>\s*\w*(?:<\|end_header_id\|>)?"  # these two are followed by the role
    r"|<start_of_turn>\s*(?:user|model)?|<extra_id_2>[^\n]*|<extra_id_\d+>|<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>"
    r"|</?s>|<(?:bos|eos|pad|unk|sep|cls|mask|endoftext|end_of_turn|end_of_utterance)>|\[/?INST\]|<</?SYS>>"
)


class Reading:
    """Filled by a reader: the turns, the system prompt's parts, and counts of unused things."""

    __slots__ = ("_muted", "not_used", "split", "system", "turns")

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.system: list[str] = []
        self.split = ""
        """Set only by our native format."""
        self.not_used: defaultdict[str, int] = defaultdict(int)
        self._muted = False

    def say(self, speaker: Speaker, text: str, *, barges_in: bool = False) -> None:
        """A turn, without the model's thoughts and special tokens."""
        if "<" in text or "INST]" in text:
            text = self._spoken(speaker, text)
        if not text or text.isspace():
            self._muted = True
        # An interruption in a log may concern a turn that will already be over when spoken.
        self.turns.append(Turn(speaker, text, event="barge_in", may_wait=True) if barges_in else Turn(speaker, text))

    def prompt(self, text: str) -> None:
        """A part of the system prompt."""
        if "<" in text or "INST]" in text:
            text = self._spoken("user", text)
        if text and not text.isspace() and text not in self.system:
            self.system.append(text)

    def leave(self, name: str, times: int = 1) -> None:
        """Count something that is not used."""
        self.not_used[name] += times

    def leave_rest(self, fields: Mapping[str, Any], used: Container[str], where: str = "") -> None:
        """Count every nonempty field that is not used."""
        for key, value in fields.items():
            if key in used or value is False or value in (None, "", [], {}):
                continue
            if not where and isinstance(value, str) and any(turn.text == value for turn in self.turns):
                continue  # already counted
            name = str(key)
            self.leave(NAMES.get(name) or f"{where}{name}"[:LONGEST_NAME])

    def finish(self) -> None:
        """Drop empty turns next to a nonempty turn of the same speaker: the order of speakers is unchanged."""
        if not self._muted:
            return
        kept: list[Turn] = []
        for at, turn in enumerate(self.turns):
            around = (kept[-1:], self.turns[at + 1 : at + 2])
            if not turn.text.strip() and any(beside and beside[0].speaker == turn.speaker for beside in around):
                self.leave("empty turns")
            else:
                kept.append(turn)
        self.turns = kept

    def _spoken(self, speaker: Speaker, text: str) -> str:
        """A text without an agent's thoughts and the special tokens of chat templates."""
        plain = text
        if speaker == "agent":
            plain, thoughts = _without_thoughts(plain)
            if thoughts:
                self.leave("thoughts", thoughts)
        plain, tokens = _TOKEN.subn("", plain)
        if tokens:
            self.leave("special tokens", tokens)
        return text if plain == text else plain.strip()


def _without_thoughts(text: str) -> tuple[str, int]:
    """An agent's text without its thoughts, and their number. Either mark may be missing because a chat template
    removed it: the first one if a thought ends with its line, the last one if the text starts with one."""
    kept: list[str] = []
    at, number = 0, 0
    opened: tuple[int, str] | None = None
    for mark in _THOUGHT.finditer(text):
        name = mark[2].lower()
        if not mark[1]:
            opened = opened or (mark.start(), name)
        elif opened and opened[1] == name:
            kept.append(text[at : opened[0]])
            at, number, opened = mark.end(), number + 1, None
        elif not opened and not at and mark[3] is not None:
            at, number = mark.end(), number + 1
    said = "".join(kept)
    if opened and not said.strip() and not text[at : opened[0]].strip():
        return said, number + 1
    return said + text[at:], number


def kind_of(value: Any) -> str:
    """The JSON name of a value's type."""
    names = {str: "string", list: "list", dict: "object", int: "number", float: "number", bool: "boolean"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def fields_of(value: Any) -> str:
    """Some keys of a record, for an error message."""
    names = sorted(map(str, value)) if isinstance(value, Mapping) else []
    return ", ".join(names[:8]) or "(none)"


def rows_of(value: Any) -> Sequence[Any] | None:
    """A list, or an object of equally long lists, into which some libraries turn a list of objects; None for anything
    else."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        columns: list[list[Any]] = list(value.values())
        if len({len(column) for column in columns}) == 1:
            return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    return None
