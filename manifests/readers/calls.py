"""OpenAI Realtime: a session as the list of its server events."""

from collections.abc import Mapping
from typing import Any

from manifests.readers.chat import read_chat
from manifests.readers.reading import Reading

_USER = "conversation.item.input_audio_transcription.completed"
_AGENT = ("response.audio_transcript.done", "response.output_audio_transcript.done", "response.text.done",
          "response.output_text.done")  # fmt: skip
_TRUNCATED = "conversation.item.truncated"


def is_session(raw: Mapping[str, Any]) -> bool:
    events = raw.get("events")
    return isinstance(events, list) and any(_kind(event) in (_USER, *_AGENT) for event in events)


def read_session(raw: Mapping[str, Any], reading: Reading) -> set[str]:
    """OpenAI Realtime's server events: the transcripts in the order in which their items started; a truncated item was
    interrupted."""
    items: dict[Any, dict[str, Any]] = {}
    for event in raw["events"]:
        kind = _kind(event)
        item = event.get("item") if isinstance(event, Mapping) else None
        id = item.get("id") if isinstance(item, Mapping) else event.get("item_id") if kind else None
        if not isinstance(id, str):
            reading.leave("events without words")
            continue
        entry = items.setdefault(id, {"role": "", "content": "", "interrupted": False})
        words = event.get("transcript", event.get("text"))
        if kind in (_USER, *_AGENT) and isinstance(words, str):
            entry |= {"role": "user" if kind == _USER else "assistant", "content": words}
        elif kind == _TRUNCATED:
            entry["interrupted"] = True
        else:
            reading.leave("events without words")
    read_chat([item for item in items.values() if item["role"]], "events", reading)
    return {"events"}


def _kind(event: Any) -> str:
    kind = event.get("type") if isinstance(event, Mapping) else None
    return kind if isinstance(kind, str) else ""
