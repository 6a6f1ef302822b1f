"""Dialogues in one string, with turns marked by names or by the tokens of a chat template."""

import re
from collections.abc import Sequence

from manifests.readers.reading import Reading
from manifests.readers.roles import Role, role_of

_NAMES: dict[str, Role] = {"h": "user", "a": "agent", "instruction": "user", "input": "user", "question": "user",
                           "response": "agent", "answer": "agent", "output": "agent"}  # fmt: skip
"""Roles only as such marks: as the role of a message, they mean nothing."""

_MARKS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"<\|im_start\|>\s*(\w+)[^\S\n]*\n?",  # ChatML
        r"<\|start_header_id\|>\s*(\w+)\s*<\|end_header_id\|>\s*",  # Llama 3
        r"<start_of_turn>\s*(\w+)[^\S\n]*\n?",  # Gemma
        r"<extra_id_[01]>[^\S\n]*(system|user|assistant)\b[^\S\n]*\n?",  # NVIDIA
        r"<\|(system|user|assistant|human|bot)\|>\s*",  # Zephyr, Phi
        r"\#\#\#[^\S\n]*(\w+)[^\S\n]*:[^\S\n]*",  # Guanaco, Alpaca's prompt
        r"(?:^|\n\n)[^\S\n]*(human|assistant|h|a)[^\S\n]?:[^\S\n]*",  # hh-rlhf
        r"(?:^|\n)[^\S\n]*\**(\w+)\**[^\S\n]?:[^\S\n]*",  # lines that start with a name
    )
)
_LLAMA_2 = re.compile(r"\[(/?)INST\]")
_TOKEN_OUTSIDE = re.compile(r"</?s>|<<?/?SYS>>?")

Marked = list[tuple[Role, str]]


def marked_turns(text: str, least: int = 2, of_templates: bool = False) -> Marked:
    """The roles and words of a transcript, in order; empty if it is not one, with at least this many marks.

    The text before the first mark is the system prompt. `of_templates`: only marks that do not occur in other kinds
    of text, since a prompt may quote a dialogue."""
    if "[INST]" in text:
        return _llama_2(text)
    for mark in _MARKS[:-1] if of_templates else _MARKS:
        found = [(match, role) for match in mark.finditer(text) if (role := _role(match[1]))]
        if len(found) < least or (mark in _MARKS[-2:] and text[: found[0][0].start()].strip()):
            continue
        ends = [match.start() for match, _ in found[1:]] + [len(text)]
        before = text[: found[0][0].start()].strip()
        turns: Marked = [("system", before)] if before else []
        return turns + [(role, text[match.end() : end].strip()) for (match, role), end in zip(found, ends, strict=True)]
    return []


def is_transcript(text: object) -> bool:
    """Whether both sides speak in it."""
    return isinstance(text, str) and {"user", "agent"} <= {role for role, _ in marked_turns(text)}


def read_transcript(turns: Marked, reading: Reading) -> None:
    for role, text in turns:
        if role == "system":
            reading.prompt(text)
        elif role == "silent":
            reading.leave("tool messages")
        else:
            reading.say(role, text)


def named_lines(text: str) -> list[tuple[str, str]]:
    """Name and words of each line `Name: words`; empty if a line has no name."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [re.match(r"#?([\w .'-]{1,40}?)#?\s?:\s*(\S.*)", line) for line in lines]
    return [(match[1], match[2]) for match in found if match] if all(found) else []


def speakers(names: Sequence[object]) -> dict[object, Role]:
    """The turns of two people, of whom the first is the user; empty if there are not two."""
    both = list(dict.fromkeys(names))
    if len(both) != 2:
        return {}
    return {both[0]: "user", both[1]: "agent"}


def _role(name: str) -> Role | None:
    return role_of(name) or _NAMES.get(name.lower())


def _llama_2(text: str) -> Marked:
    turns: Marked = []
    before, *parts = _LLAMA_2.split(text)
    for closing, part in zip(parts[::2], parts[1::2], strict=True):
        if closing:
            turns.append(("agent", part.strip()))
            continue
        begun, mark, rest = part.partition("<<SYS>>")
        system, end, asked = rest.partition("<</SYS>>")
        turns += (
            [("system", system.strip()), ("user", f"{begun}{asked}".strip())]
            if mark and end
            else [("user", part.strip())]
        )
    if turns and turns[-1] == ("agent", ""):
        turns.pop()
    outside = _TOKEN_OUTSIDE.sub("", before).strip()
    return [("system", outside), *turns] if outside else turns
