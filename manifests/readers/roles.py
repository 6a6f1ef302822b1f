"""Names of roles and text fields in public dialogue files, in any case."""

import json
from collections.abc import Mapping
from typing import Any, Literal

Role = Literal["user", "agent", "system", "silent"]
"""`silent`: written by a tool or a machine, and not spoken."""

ROLES: dict[str, Role] = {
    **dict.fromkeys(("user", "human", "prompter", "customer", "caller", "client", "guest", "usr", "apprentice", "seeker",
                     "patient", "driver", "questioner", "user utterance"), "user"),
    **dict.fromkeys(("assistant", "agent", "gpt", "chatgpt", "ai", "bot", "model", "chatbot", "bing", "bard", "claude",
                     "gemini", "llama", "operator", "representative", "machine", "voicebot", "system response"), "agent"),
    **dict.fromkeys(("system", "developer", "system_prompt"), "system"),
    **dict.fromkeys(("tool", "tools", "function", "tool_call", "tool_calls", "tool_result", "tool_results", "tool_response",
                     "tool_output", "tool_call_result", "tool_call_invocation", "function_call", "function_response",
                     "function_output", "function_call_output", "observation", "ipython", "environment"), "silent"),
}  # fmt: skip

ROLE_KEYS = ("role", "from", "speaker", "author", "sender")
TEXT_KEYS = ("content", "value", "text", "utterance", "message", "parts")
SYSTEM_KEYS = frozenset(
    ("system", "System", "system_prompt", "systemPrompt", "system_message", "systemMessage", "system_instruction",
     "systemInstruction", "systemprompt", "systemmessage", "systeminstruction")
)  # fmt: skip
ID_KEYS = ("dialogue_id", "dialog_id", "conversation_id", "conversationId", "call_id", "message_tree_id")
"""Keys of an id other than `id`."""

QUESTION_KEYS = (
    "instruction",
    "question",
    "prompt",
    "query",
    "input",
    "user utterance",
    "user",
    "human",
    "request",
    "inputs",
)
ANSWER_KEYS = ("output", "response", "completion", "answer", "chosen", "chosen_response", "answers", "system response",
               "assistant", "reply", "bot", "gpt", "ai", "model", "targets")  # fmt: skip


def role_of(name: Any) -> Role | None:
    """The role of a name, or of an object with one, such as `{"role": "user"}` under `author`; None if it is unknown."""
    if isinstance(name, str):
        return ROLES.get(name) or ROLES.get(name.strip().lower())
    inner = name.get("role") if isinstance(name, Mapping) else None
    return role_of(inner) if isinstance(inner, str) else None


def role_key(message: Mapping[str, Any]) -> str | None:
    return next((key for key in ROLE_KEYS if key in message), None)


def text_key(message: Mapping[str, Any]) -> str | None:
    """The key of a message's words: the first nonempty one of the usual keys, else the first one present."""
    found = [key for key in TEXT_KEYS if key in message]
    return next((key for key in found if message[key] is not None), found[0] if found else None)


def is_pair(value: Any) -> bool:
    """Whether it is a question with its answer."""
    if not isinstance(value, Mapping) or role_key(value):
        return False
    return any(key in value for key in QUESTION_KEYS) and any(key in value for key in ANSWER_KEYS)


def is_message(value: Any) -> bool:
    """Whether it looks like one message of a dialogue: a role and words, or a name and words."""
    if isinstance(value, Mapping):
        key = role_key(value)
        if key is None:
            return is_pair(value)
        return role_of(value[key]) is not None and any(name in value for name in (*TEXT_KEYS, "tool_calls"))
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(part, str) for part in value)
        and role_of(value[0]) is not None
    )


def is_chat(value: Any) -> bool:
    """Whether it is a list of messages, judged by the first one with a role."""
    return isinstance(value, list) and bool(value) and any(is_message(message) for message in value[:3])


def lowered(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A record with lower-case keys, except those that would collide."""
    found: dict[str, Any] = {}
    for key, value in raw.items():
        found[key if key.lower() in found else key.lower()] = value
    return found


def unpacked(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A record with JSON strings parsed, as tables store them."""
    return {key: _unpacked(value) if isinstance(value, str) else value for key, value in raw.items()}


def _unpacked(text: str) -> Any:
    if not text.lstrip().startswith(("[{", "[[", '{"')):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
