"""Research corpora of dialogues, each with its own format."""

from collections.abc import Mapping, Sequence
from typing import Any

from manifests.readers.content import text_of
from manifests.readers.reading import Reading, fields_of, rows_of
from manifests.readers.roles import Role, role_key, role_of, text_key
from manifests.readers.transcripts import named_lines, speakers
from manifests.records import BadDialogue, Speaker

Used = set[str]
_TASK_ROLES: dict[object, Role] = {"USER": "user", "SYSTEM": "agent", 0: "user", 1: "agent"}


def read_utterances(raw: Mapping[str, Any], reading: Reading) -> Used:
    """Schema-Guided Dialogue, MultiWOZ 2.2 and its columns on the hub: `turns` of `speaker` and `utterance`."""
    for number, turn in enumerate(rows_of(raw["turns"]) or [], 1):
        if not isinstance(turn, Mapping):
            raise BadDialogue("wrong_type", f"Turn {number} of 'turns' must be an object.")
        speaker = turn.get("speaker")
        role = _TASK_ROLES.get(speaker) if isinstance(speaker, str | int) else None
        _say(role or role_of(speaker), speaker, turn.get("utterance"), number, reading)
        reading.leave_rest(turn, ("speaker", "utterance"), "turns.")
    return {"turns"}


def read_log(raw: Mapping[str, Any], reading: Reading) -> Used:
    """MultiWOZ 2.0 and 2.1: a `log` of texts, the user's first."""
    for number, turn in enumerate(raw["log"], 1):
        if not isinstance(turn, Mapping):
            raise BadDialogue("wrong_type", f"Turn {number} of 'log' must be an object.")
        _say("user" if number % 2 else "agent", "", turn.get("text"), number, reading)
        reading.leave_rest(turn, ("text",), "log.")
    return {"log"}


def read_people(raw: Mapping[str, Any], reading: Reading) -> Used:
    """SODA (`dialogue`, `speakers`), DailyDialog (`dialog`), DialogSum and SAMSum (lines `Name: words`): two people talk,
    and the first speaker is the user."""
    key = people_key(raw)
    lines, names = raw[key], raw.get("speakers")
    used = {key}
    if isinstance(lines, str):
        named = named_lines(lines)
        names, lines = [name for name, _ in named], [line for _, line in named]
    elif lines and all(isinstance(line, Mapping) for line in lines):
        names, lines = _named(lines, key, reading)
    elif isinstance(names, list) and len(names) == len(lines):
        used.add("speakers")
    else:
        names = [number % 2 for number in range(len(lines))]
    who = speakers(names) if all(isinstance(name, str | int) for name in names) else {}
    if not who:
        number = len({str(name) for name in names})
        raise BadDialogue("several_speakers", f"{number} people speak in '{key}'; a dialogue has a user and an agent.")
    for number, (name, line) in enumerate(zip(names, lines, strict=True), 1):
        _say(who[name], name, line, number, reading)
    return used


def people_key(raw: Mapping[str, Any]) -> str:
    """The key of people's lines: a list of strings, of objects with a name, or lines with names; empty if there is
    none."""
    for key in ("dialogue", "dialog", "utterances"):
        lines = raw.get(key)
        if isinstance(lines, str) and named_lines(lines):
            return key
        if isinstance(lines, list) and lines and all(isinstance(line, str) for line in lines):
            return key
        if isinstance(lines, list) and lines and all(_is_named(line) for line in lines):
            return key
    return ""


def read_topical(raw: Mapping[str, Any], reading: Reading) -> Used:
    """Topical-Chat: `content` of `agent` and `message`; the first speaker is the user."""
    rows = raw["content"]
    who = speakers([row.get("agent") for row in rows])
    for number, row in enumerate(rows, 1):
        _say(who.get(row.get("agent")), row.get("agent"), row.get("message"), number, reading)
        reading.leave_rest(row, ("agent", "message"), "content.")
    return {"content"}


def is_topical(raw: Mapping[str, Any]) -> bool:
    rows = raw.get("content")
    return (
        isinstance(rows, list)
        and bool(rows)
        and all(isinstance(row, Mapping) and isinstance(row.get("agent"), str) and "message" in row for row in rows)
    )


def read_tree(raw: Mapping[str, Any], reading: Reading) -> Used:
    """Open Assistant's trees (`prompt` with `replies`): at each message, the reply ranked first by people."""
    key = tree_key(raw)
    node, number = raw[key] if key else raw, 1
    while node is not None:
        role = node.get("role")
        _say(role_of(role), role, node.get("text"), number, reading)
        lists = [node.get(name) or [] for name in _REPLIES]
        if not all(isinstance(found, list) for found in lists):
            raise BadDialogue("wrong_type", f"The replies to message {number} must be a list.")
        replies = [reply for found in lists for reply in found]
        if not all(isinstance(reply, Mapping) for reply in replies):
            raise BadDialogue("wrong_type", f"A reply to message {number} must be an object.")
        reading.leave_rest(node, ("role", "text", *_REPLIES), "messages.")
        node = min(replies, key=_rank, default=None)
        if len(replies) > 1:
            reading.leave("other replies", len(replies) - 1)
        number += 1
    return {key} if key else {"role", "text", *_REPLIES, *raw}


_REPLIES = ("replies", "children")


def tree_key(raw: Mapping[str, Any]) -> str:
    return next((key for key in ("prompt", "root", "thread") if is_node(raw.get(key))), "")


def is_node(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("text"), str)
        and any(isinstance(value.get(name), list) for name in _REPLIES)
    )


def _rank(reply: Mapping[str, Any]) -> float:
    rank = reply.get("rank")
    return rank if isinstance(rank, int) and not isinstance(rank, bool) else float("inf")


def _is_named(line: Any) -> bool:
    if not isinstance(line, Mapping):
        return False
    who, words = role_key(line), text_key(line)
    return bool(who and words) and isinstance(line[who], str) and isinstance(line[words], str)


def _named(lines: Sequence[Mapping[str, Any]], key: str, reading: Reading) -> tuple[list[str], list[str]]:
    names, texts = [], []
    for line in lines:
        who, words = role_key(line), text_key(line)
        if who is None or words is None:
            raise BadDialogue("wrong_type", f"A line of '{key}' has the keys {fields_of(line)}, not a name and words.")
        names.append(line[who])
        texts.append(line[words])
        reading.leave_rest(line, (who, words), f"{key}.")
    return names, texts


def _say(role: Role | None, name: object, text: Any, number: int, reading: Reading) -> None:
    speaker: dict[Role | None, Speaker] = {"user": "user", "agent": "agent"}
    if role not in speaker:
        raise BadDialogue("wrong_role", f"Turn {number} has the speaker {name!r}, neither a user nor an agent.")
    reading.say(speaker[role], text_of(text, number, reading))
