"""The table of shapes: how each one is recognized by a record's contents, and its reader. The first match is used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from manifests.readers import calls, corpora, exports
from manifests.readers.chat import read_chat, read_lines
from manifests.readers.own import read_own
from manifests.readers.pairs import answer_key, question_key, read_chosen, read_pair
from manifests.readers.reading import Reading, rows_of
from manifests.readers.roles import is_chat, is_message, is_pair, lowered, unpacked
from manifests.readers.transcripts import is_transcript, marked_turns, read_transcript
from manifests.records import BadDialogue

Raw = Mapping[str, Any]
Used = set[str]

_OTHER_READINGS = 2
_DEEPEST = 3
"""Maximum number of envelopes around a dialogue."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`holds` tests whether a record has the shape; `read` fills a `Reading`, returns the record's fields that it
    used, and raises `BadDialogue`."""

    name: str
    holds: Callable[[Raw], bool]
    read: Callable[[Raw, Reading], Used]


def _openai(raw: Raw, reading: Reading) -> Used:
    """OpenAI's chat format, also used by Anthropic, Bedrock, Mistral, TRL, LiveKit, Vapi and UltraFeedback."""
    read_chat(raw["messages"], "messages", reading)
    return {"messages"} | _chosen_after(raw, reading)


def _sharegpt(raw: Raw, reading: Reading) -> Used:
    """ShareGPT, LLaMA-Factory's preferences, NVIDIA's chat format (`mask`, `system`)."""
    read_chat(raw["conversations"], "conversations", reading)
    return {"conversations"} | _chosen_after(raw, reading)


def _chosen_after(raw: Raw, reading: Reading) -> Used:
    return read_chosen(raw, reading) if raw.get("chosen") else set()


def _chat_at(*keys: str) -> tuple[Callable[[Raw], bool], Callable[[Raw, Reading], Used]]:
    """The test and the reader for a list of messages under one of these keys."""

    def holds(raw: Raw) -> bool:
        return any(is_chat(raw.get(key)) for key in keys)

    def read(raw: Raw, reading: Reading) -> Used:
        key = next(key for key in keys if is_chat(raw.get(key)))
        read_chat(raw[key], key, reading)
        return {key}

    return holds, read


def _ultrachat(raw: Raw, reading: Reading) -> Used:
    """UltraChat: `data`, a list of strings, the user's first."""
    if not isinstance(raw["data"], list):
        raise BadDialogue("wrong_type", "'data' must be a list of strings, the user's first.")
    read_lines(raw["data"], reading)
    return {"data"}


def _transcript(raw: Raw, reading: Reading) -> Used:
    """A dialogue in one string: Guanaco's `text`, chat templates, call transcripts, hh-rlhf's `chosen`."""
    key = _transcript_key(raw)
    read_transcript(marked_turns(raw[key]), reading)
    return {key}


def _transcript_key(raw: Raw) -> str:
    keys = ("text", "transcript", "conversation", "dialogue", "dialog", "chat", "chosen")
    return next((key for key in keys if is_transcript(raw.get(key))), "")


def _is_own(raw: Raw) -> bool:
    turns = raw.get("turns")
    if turns is None or (isinstance(turns, int) and len(raw) > 1):
        return False
    first = turns[0] if isinstance(turns, list) and turns else None
    if not isinstance(first, dict):
        return not isinstance(turns, dict)
    return "text" in first and (first.get("speaker") in ("user", "agent") or not is_message(first))


def _has_utterances(raw: Raw) -> bool:
    rows = rows_of(raw.get("turns"))
    return rows is not None and len(rows) > 0 and isinstance(rows[0], dict) and "utterance" in rows[0]


def _has_roles(value: Any) -> bool:
    """Whether it is a list of messages and certainly not of pairs, which would be dialogues."""
    return is_chat(value) and not is_pair(value[0])


def _is_log(raw: Raw) -> bool:
    log = raw.get("log")
    return isinstance(log, list) and bool(log) and isinstance(log[0], dict) and "text" in log[0]


def _is_pair(raw: Raw) -> bool:
    return raw.get("instruction") is not None or (question_key(raw) is not None and answer_key(raw) is not None)


SHAPES: tuple[Shape, ...] = (
    Shape("salm-duplex's native format", _is_own, read_own),
    Shape("OpenAI messages", lambda raw: raw.get("messages") is not None, _openai),
    Shape("ShareGPT conversations", lambda raw: raw.get("conversations") is not None, _sharegpt),
    Shape("Alpaca", lambda raw: raw.get("instruction") is not None and answer_key(raw) is not None, read_pair),
    Shape("SGD or MultiWOZ 2.2", _has_utterances, corpora.read_utterances),
    Shape("lmsys conversation", *_chat_at("conversation")),
    Shape("Retell call", *_chat_at("transcript_object")),
    Shape("Retell call with tools", *_chat_at("transcript_with_tool_calls")),
    Shape("ElevenLabs transcript", *_chat_at("transcript")),
    Shape("LiveKit or ShareGPT items", *_chat_at("items")),
    Shape("Gemini contents", *_chat_at("contents")),
    Shape("ChatGPT export", exports.is_export, exports.read_export),
    Shape("Chatbot Arena", exports.is_battle, exports.read_battle),
    Shape("request and response", exports.is_exchange, exports.read_exchange),
    Shape("OpenAI Realtime events", calls.is_session, calls.read_session),
    Shape("Taskmaster utterances", *_chat_at("utterances")),
    Shape("DialogStudio log", *_chat_at("log")),
    Shape("MultiWOZ 2.1", _is_log, corpora.read_log),
    Shape("Open Assistant tree", lambda raw: bool(corpora.tree_key(raw)) or corpora.is_node(raw), corpora.read_tree),
    Shape("Topical-Chat", corpora.is_topical, corpora.read_topical),
    Shape("chat", *_chat_at("turns", "dialogue", "dialog", "thread", "chat", "chat_history")),
    Shape("question and answer", _is_pair, read_pair),
    Shape("preferred answers", lambda raw: is_chat(raw.get("chosen")), read_chosen),
    Shape("transcript", lambda raw: bool(_transcript_key(raw)), _transcript),
    Shape("SODA, DailyDialog or other people", lambda raw: bool(corpora.people_key(raw)), corpora.read_people),
    Shape(
        "UltraChat data",
        lambda raw: raw.get("data") is not None and not isinstance(raw["data"], dict) and not _has_roles(raw["data"]),
        _ultrachat,
    ),
    Shape("chat", lambda raw: _has_roles(raw.get("data")), _chat_at("data")[1]),
    Shape("chat", *_chat_at("history")),
)

ENVELOPES = ("data", "message", "artifact", "row", "call", "conversation", "dialogue", "dialog", "session", "chat_ctx", "history",
             "payload", "body")  # fmt: skip
"""Keys of a dialogue nested in a record: webhooks of ElevenLabs, Retell and Vapi, the hub's rows."""


def shape_of(raw: Raw, depth: int = 0) -> tuple[Shape, Raw] | None:
    """The shape of a record, and the record for its reader: if it has no shape unchanged, with lower-case keys or
    with JSON strings parsed. None if it has no shape at all."""
    for shape in SHAPES:
        if shape.holds(raw):
            return shape, raw
    if depth >= _OTHER_READINGS:
        return None
    for other in (lowered(raw), unpacked(raw)):
        if other != raw and (found := shape_of(other, depth + 1)):
            return found
    return None


def inside(raw: Raw, depth: int = 0) -> str | None:
    """The field of an envelope that contains a dialogue; None if there is none."""
    for key in ENVELOPES:
        value = raw.get(key)
        if isinstance(value, dict) and (shape_of(value) or (depth < _DEEPEST and inside(value, depth + 1))):
            return key
    return None


def is_dialogue(raw: Any) -> bool:
    """Whether a reader recognizes it as a dialogue, even a broken one."""
    if isinstance(raw, list):
        return is_chat(raw) and not is_pair(raw[0])
    return isinstance(raw, dict) and bool(shape_of(raw) or inside(raw))
