"""The words of a message: a string, or the content parts of some API, of which text is read and the rest is counted."""

from collections.abc import Mapping
from typing import Any

from manifests.readers.reading import Reading, kind_of
from manifests.records import BadDialogue

TOOLS = frozenset(("tool_use", "tool_result", "tool_call", "tool_calls", "tool-call", "tool-result", "function_call", "function_response",
                   "functioncall", "functionresponse", "tooluse", "toolresult", "server_tool_use", "custom_tool_call"))  # fmt: skip
THOUGHTS = frozenset(("thinking", "redacted_thinking", "reasoning", "reasoning_content", "reasoningcontent", "thought"))
UNSAID = {
    "image": "an image", "image_url": "an image", "input_image": "an image", "image_file": "an image", "image_content": "an image",
    "video": "a video", "video_url": "a video", "input_video": "a video",
    "audio": "audio", "input_audio": "audio", "output_audio": "audio", "audio_url": "audio", "audio_content": "audio",
    "file": "a file", "input_file": "a file", "document": "a file", "inlinedata": "a file", "inline_data": "a file",
    "filedata": "a file", "file_data": "a file",
}  # fmt: skip
"""Contents of a message without words, by the part's type or key."""
_TEXTS = ("text", "value", "content", "transcript", "refusal")
_PLACEHOLDERS = {"<image>": "an image", "<video>": "a video", "<audio>": "audio"}


def text_of(content: Any, number: int, reading: Reading) -> str:
    """The words of message `number`; raises `BadDialogue` if a part can neither be spoken nor left out."""
    if isinstance(content, str):
        return _without_placeholders(content, number) if "<" in content else content
    if content is None:
        return ""
    if isinstance(content, list | tuple):
        texts = [text for part in content if (text := _part(part, number, reading)) is not None]
        return "\n".join(texts)
    if isinstance(content, Mapping):
        return _part(content, number, reading) or ""
    raise BadDialogue("not_text", f"The text of message {number} is a {kind_of(content)}, not a string.")


def _part(part: Any, number: int, reading: Reading) -> str | None:
    """The words of a content part; None if it is left out."""
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise BadDialogue("not_text", f"Message {number} has a content part that is a {kind_of(part)}, not text.")
    if isinstance(part.get("parts"), list):  # ChatGPT's export, Gemini
        reading.leave_rest(part, ("parts", "content_type", "role"), "messages.content.")
        return text_of(part["parts"], number, reading)
    kind = part.get("type")
    names = _names(part)
    if part.get("thought") is True or THOUGHTS.intersection(names):
        reading.leave("thoughts")
        return None
    if TOOLS.intersection(names):
        reading.leave("tool calls")
        return None
    for key in _TEXTS:
        text = part.get(key)
        if isinstance(text, Mapping) and isinstance(text.get("value"), str):  # OpenAI's Assistants
            reading.leave_rest(text, ("value",), "messages.content.")
            text = text["value"]
        if isinstance(text, str):
            reading.leave_rest(part, ("type", key), "messages.content.")
            return text
    unsaid = next((UNSAID[name] for name in names if name in UNSAID), None)
    if unsaid is None:
        named = f"of type '{kind}'" if isinstance(kind, str) else f"with the keys {', '.join(names[:5]) or '(none)'}"
        raise BadDialogue("not_text", f"Message {number} has a content part {named}, without text.")
    more = " without a transcript" if unsaid == "audio" else ""
    raise BadDialogue(
        "not_text", f"Message {number} contains {unsaid}{more}, which can't be spoken; remove such dialogues."
    )


def is_silent(content: Any) -> bool:
    """Whether it is a list of parts that are all tool calls, tool results or thoughts."""
    return isinstance(content, list) and bool(content) and all(_is_silent(part) for part in content)


def _is_silent(part: Any) -> bool:
    if not isinstance(part, Mapping):
        return False
    names = _names(part)
    return part.get("thought") is True or not (TOOLS | THOUGHTS).isdisjoint(names)


def _names(part: Mapping[str, Any]) -> list[str]:
    """What determines the kind of a part: its type, or its keys if it has none."""
    kind = part.get("type")
    return [kind.lower()] if isinstance(kind, str) else [str(key).lower() for key in part]


def _without_placeholders(text: str, number: int) -> str:
    for mark, what in _PLACEHOLDERS.items():
        if mark in text:
            message = f"Message {number} stands for {what} ({mark}), which can't be spoken; remove such dialogues."
            raise BadDialogue("not_text", message)
    return text
