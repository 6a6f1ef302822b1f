"""Open Assistant's flat format, one message per record with `message_id` and `parent_id`, converted to trees.

The messages of a tree are adjacent, as published, so one tree is held at a time. It is returned in the format of the
published trees, at the place of its first message.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from manifests.raw_records import BrokenRecord

MOST_MESSAGES = 10_000
"""Larger trees are rejected."""
_KEYS = frozenset(("message_id", "parent_id", "text", "role"))

Record = tuple[int, Any]


def as_trees(records: Iterator[Record]) -> Iterator[Record]:
    """The records, with trees replacing their messages; a message without an adjacent tree is a `BrokenRecord`."""
    tree: _Tree | None = None
    for position, raw in records:
        if not is_flat(raw):
            if tree:
                yield from tree.close()
                tree = None
            yield position, raw
        elif tree and tree.has(raw):
            tree.add(position, raw)
        else:
            if tree:
                yield from tree.close()
            tree = _Tree(position, raw)
    if tree:
        yield from tree.close()


def is_flat(raw: Any) -> bool:
    """Whether it is one message of a tree."""
    return (
        isinstance(raw, dict)
        and raw.keys() >= _KEYS
        and isinstance(raw["message_id"], str)
        and isinstance(raw["parent_id"], str | None)
        and not isinstance(raw.get("replies"), list)
    )


class _Tree:
    """The messages of one tree so far: those that name the same tree or, without a tree id, have a parent in it."""

    def __init__(self, position: int, first: dict[str, Any]) -> None:
        self._id = first.get("message_tree_id")
        self._position = position
        self._messages: dict[str, Record] = {}
        self._unplaced: list[Record] = []
        self._number = 0
        self.add(position, first)

    def has(self, message: Mapping[str, Any]) -> bool:
        if message.get("message_tree_id") != self._id:
            return False
        return self._id is not None or message["parent_id"] in self._messages

    def add(self, position: int, message: dict[str, Any]) -> None:
        self._number += 1
        if self._number > MOST_MESSAGES:
            return
        name = message["message_id"]
        if name in self._messages:
            reason = f"The message {name!r} occurs twice in its tree; remove one."
            self._unplaced.append((position, BrokenRecord("duplicate_message", reason)))
        else:
            self._messages[name] = (position, message)

    def close(self) -> Iterator[Record]:
        """The tree, and the messages without a place in it, in order."""
        if self._number > MOST_MESSAGES:
            message = f"The tree {self._id!r} has over {MOST_MESSAGES} messages, which is not a conversation; remove or split it."
            yield self._position, BrokenRecord("too_long", message)
            return
        nodes = {name: _node(message) for name, (_, message) in self._messages.items()}
        below: dict[str | None, list[str]] = {}
        for name, (_, message) in self._messages.items():
            below.setdefault(message["parent_id"], []).append(name)
            if (parent := nodes.get(message["parent_id"])) is not None:
                parent["replies"].append(nodes[name])
        made: list[Record] = []
        for root in below.get(None, []):
            made.append((self._messages[root][0], {"message_tree_id": self._id or root, "prompt": nodes[root]}))
        placed = set(_reached(below))
        for name, (position, message) in self._messages.items():
            if name not in placed:
                made.append((position, _orphan(name, message["parent_id"])))
        yield from sorted(made + self._unplaced, key=lambda record: record[0])


def _node(message: Mapping[str, Any]) -> dict[str, Any]:
    ids = ("message_id", "parent_id", "message_tree_id")
    return {key: value for key, value in message.items() if key not in ids} | {"replies": []}


def _reached(below: Mapping[str | None, list[str]]) -> Iterator[str]:
    """A first message with all its replies."""
    ahead = list(below.get(None, []))
    while ahead:
        name = ahead.pop()
        yield name
        ahead += below.get(name, [])


def _orphan(name: str, parent: str | None) -> BrokenRecord:
    message = (
        f"The message {name!r} answers {parent!r}, which is not among the adjacent messages of its tree; sort the messages by tree "
        "('message_tree_id'), or use the published trees."
    )
    return BrokenRecord("no_parent", message)
