"""Exports of chat programs and model gateways."""

from collections.abc import Mapping
from typing import Any

from manifests.readers.chat import read_chat
from manifests.readers.reading import Reading
from manifests.readers.roles import is_chat, is_message
from manifests.records import BadDialogue

Used = set[str]

_NODE = ("id", "message", "parent", "children")
_REQUESTS, _RESPONSES = ("request", "input", "inputs"), ("response", "output", "outputs")
_MOST_BODIES = 8
_BODIES = ("body", "inputBodyJson", "outputBodyJson", "output", "kwargs")


def is_export(raw: Mapping[str, Any]) -> bool:
    nodes = raw.get("mapping")
    return (
        isinstance(nodes, dict) and bool(nodes) and all(isinstance(n, dict) and "parent" in n for n in nodes.values())
    )


def read_export(raw: Mapping[str, Any], reading: Reading) -> Used:
    """ChatGPT's export: a tree of messages in `mapping`; the branch that ends at `current_node` is read."""
    nodes: dict[str, dict[str, Any]] = raw["mapping"]
    id = raw.get("current_node") or [*nodes][-1]
    branch: list[Any] = []
    seen: set[str] = set()
    while isinstance(id, str) and id in nodes:
        if id in seen:
            raise BadDialogue("wrong_type", f"The message '{id[:60]}' of 'mapping' is among its own parents.")
        seen.add(id)
        reading.leave_rest(nodes[id], _NODE, "mapping.")
        if nodes[id].get("message") is not None:
            branch.append(nodes[id]["message"])
        id = nodes[id].get("parent")
    read_chat([_said(message, reading) for message in reversed(branch)], "messages", reading)
    for name, node in nodes.items():
        if name not in seen and node.get("message"):
            reading.leave("other replies")
        elif name not in seen:
            reading.leave_rest(node, _NODE, "mapping.")
    return {"mapping", "current_node"}


def _said(message: Any, reading: Reading) -> Any:
    """A message without hidden contents: internal data, and messages to a tool."""
    if not isinstance(message, dict):
        return message
    content = message.get("content")
    kind = content.get("content_type") if isinstance(content, dict) else "text"
    if message.get("recipient", "all") != "all" or kind in (
        "thoughts",
        "reasoning_recap",
        "code",
        "user_editable_context",
    ):
        return {"role": "tool", "content": ""}
    reading.leave_rest(message, ("author", "content", "recipient"), "messages.")
    return {"author": message.get("author"), "content": content}


def is_battle(raw: Mapping[str, Any]) -> bool:
    return is_chat(raw.get("conversation_a")) and is_chat(raw.get("conversation_b"))


def read_battle(raw: Mapping[str, Any], reading: Reading) -> Used:
    """Chatbot Arena: two conversations, of which the winner's is read, or the first one if neither won."""
    key = "conversation_b" if raw.get("winner") == "model_b" else "conversation_a"
    read_chat(raw[key], key, reading)
    reading.leave("rejected answers")
    return {"conversation_a", "conversation_b", "winner"}


def is_exchange(raw: Mapping[str, Any]) -> bool:
    return _request(raw) is not None and _response(raw) is not None


def read_exchange(raw: Mapping[str, Any], reading: Reading) -> Used:
    """Logs of gateways (OpenAI's stored requests, Bedrock's invocations, LangSmith): the messages that were sent and
    the answer."""
    asked, answered = _request(raw), _response(raw)
    if asked is None or answered is None:
        raise BadDialogue("wrong_type", "The request or the response has no message.")
    read_chat([*asked[1], answered[1]], "messages", reading)
    for key, used in ((asked[0], "messages"), (answered[0], "message")):
        for body in _bodies(raw[key]):
            read = [inner for inner in _BODIES if isinstance(body.get(inner), dict)]
            if "choices" in body:
                read.append("choices")
                first, *others = body["choices"] if isinstance(body["choices"], list) and body["choices"] else ({},)
                reading.leave_rest(first if isinstance(first, dict) else {}, ("message",), f"{key}.choices.")
                if others:
                    reading.leave("other replies", len(others))
            reading.leave_rest(body, (used, *read, *_answer_keys(body, answered[1])), f"{key}.")
    return {asked[0], answered[0]}


def _answer_keys(body: Mapping[str, Any], message: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of a body that is itself the answer, which are counted with the messages; its words if it has no role."""
    if body is message:
        return tuple(body)
    return ("content",) if body.get("content") == message["content"] and "messages" not in body else ()


def _request(raw: Mapping[str, Any]) -> tuple[str, list[Any]] | None:
    for key in _REQUESTS:
        for body in _bodies(raw.get(key)):
            if is_chat(body.get("messages")):
                return key, body["messages"]
    return None


def _response(raw: Mapping[str, Any]) -> tuple[str, Any] | None:
    for key in _RESPONSES:
        for body in _bodies(raw.get(key)):
            choices = body.get("choices")
            first = choices[0] if isinstance(choices, list) and choices else body
            message = first.get("message", first) if isinstance(first, dict) else None
            if is_message(message):
                return key, message
            if isinstance(message, dict) and isinstance(message.get("content"), str | list):
                return key, {"role": "assistant", "content": message["content"]}
    return None


def _bodies(value: Any) -> list[dict[str, Any]]:
    """An object and the nested objects that may contain its content."""
    found = [value] if isinstance(value, dict) else []
    for body in found:  # grows during iteration, as deep as the keys go
        if len(found) < _MOST_BODIES:
            found += [body[key] for key in _BODIES if isinstance(body.get(key), dict)]
    return found
