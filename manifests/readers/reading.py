"""What a reader finds in one record: turns, a system prompt, and a count of all that it leaves."""

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
"""Plain words for what stands under these keys, wherever that is; any other key is named as it is written."""
LONGEST_NAME = 60
MOST_NAMES = 200
"""So many different things are counted by name for an input, the rest together."""
OTHER = "other fields"

_THOUGHT = re.compile(r"<(/?)(think|thinking|reasoning|thought)>(?=([^\S\n]*(?:\n|\Z))?)", re.IGNORECASE)
_TOKEN = re.compile(
    r"<\|(?:im_start|start_header_id)\|>\s*\w*(?:<\|end_header_id\|>)?"  # these two name the role behind them
    r"|<start_of_turn>\s*(?:user|model)?|<extra_id_2>[^\n]*|<extra_id_\d+>|<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>"
    r"|</?s>|<(?:bos|eos|pad|unk|sep|cls|mask|endoftext|end_of_turn|end_of_utterance)>|\[/?INST\]|<</?SYS>>"
)


class Reading:
    """Filled by a reader: who says what, the system prompt's parts, and how often each thing was not used."""

    __slots__ = ("_muted", "not_used", "split", "system", "turns")

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.system: list[str] = []
        self.split = ""
        """Fixed by our own form alone."""
        self.not_used: defaultdict[str, int] = defaultdict(int)
        self._muted = False

    def say(self, speaker: Speaker, text: str, *, barges_in: bool = False) -> None:
        """A turn, without the model's thoughts and special tokens."""
        if "<" in text or "INST]" in text:
            text = self._spoken(speaker, text)
        if not text or text.isspace():
            self._muted = True
        # What a log calls an interruption may be one of a turn that is over by then, as it will be spoken.
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
        """Count every field that is not used and holds anything."""
        for key, value in fields.items():
            if key in used or value is False or value in (None, "", [], {}):
                continue
            if not where and isinstance(value, str) and any(turn.text == value for turn in self.turns):
                continue  # said already
            name = str(key)
            self.leave(NAMES.get(name) or f"{where}{name}"[:LONGEST_NAME])

    def finish(self) -> None:
        """Leave out the empty turns beside which the same speaker says something: who follows whom stays as it was."""
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
        """A text without thoughts (an agent has them) and the tokens of chat templates."""
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
    """An agent's text without what it thinks, and how many thoughts that are. Either mark may be missing, as in what chat
    templates cut: the first where a thought ends with its line, the last where the text begins with one."""
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
    """What a value is called in JSON."""
    names = {str: "string", list: "list", dict: "object", int: "number", float: "number", bool: "truth value"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def fields_of(value: Any) -> str:
    """The keys of a record for a message, a few of them."""
    names = sorted(map(str, value)) if isinstance(value, Mapping) else []
    return ", ".join(names[:8]) or "(none)"


def rows_of(value: Any) -> Sequence[Any] | None:
    """A list, or what some libraries make of a list of objects: an object of equally long lists; None of anything else."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        columns: list[list[Any]] = list(value.values())
        if len({len(column) for column in columns}) == 1:
            return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    return None
