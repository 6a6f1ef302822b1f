"""Input dialogue formats: one parsed JSON object (or Parquet row) in, one `Dialogue` out.

The format is told by the object's own keys: OpenAI `messages`, ShareGPT `conversations`, Alpaca
`instruction/input/output`, UltraChat `data`, and our own `turns`, which may also fix voices, events and gaps, and give recordings.
"""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from manifests.recordings import parse_recording
from manifests.records import BadDialogue, Dialogue, Event, Speaker, Turn

OPENAI_ROLES: dict[str, Speaker | None] = {"user": "user", "assistant": "agent", "system": None, "developer": None}
SHAREGPT_ROLES: dict[str, Speaker | None] = {
    "human": "user", "user": "user", "gpt": "agent", "chatgpt": "agent", "assistant": "agent", "model": "agent",
    "system": None,
}  # fmt: skip


class OwnTurn(BaseModel):
    """A turn of our own form."""

    model_config = ConfigDict(extra="forbid")

    speaker: Speaker
    text: str
    voice: str = ""
    event: Event | None = None
    gap_s: float | None = Field(default=None, ge=0, le=60, allow_inf_nan=False)
    recording: str | dict[str, Any] | None = None


class OwnDialogue(BaseModel):
    """Our own form: `{"id", "system_prompt", "split", "turns": [{"speaker", "text", "voice", "event", "gap_s",
    "recording"}]}`; `recording` is the path of an audio file, or a Lhotse cut."""

    model_config = ConfigDict(extra="forbid")

    id: str | int | None = None
    system_prompt: str = ""
    split: Literal["", "train", "validation", "test"] = ""
    turns: list[OwnTurn]


def parse_dialogue(raw: Any, source: str, fallback_id: str) -> Dialogue:
    """Turn one raw object into a `Dialogue`; raises `BadDialogue` with the reason where it is not one."""
    if not isinstance(raw, dict):
        raise BadDialogue("not_an_object", f"A dialogue must be a JSON object; this is a {type(raw).__name__}.")
    parse = _parser_for(raw)
    system_prompt, turns = parse(raw)
    if not turns:
        raise BadDialogue("no_turns", "The dialogue has no turns; give it at least one user and one agent turn.")
    for number, turn in enumerate(turns, 1):
        if not turn.text.strip():
            raise BadDialogue("empty_turn", f"Turn {number} ({turn.speaker}) is empty; give it text or remove it.")
    speakers = {turn.speaker for turn in turns}
    if len(speakers) < 2:
        raise BadDialogue("one_sided", f"Only the {speakers.pop()} speaks; a dialogue needs a user and an agent.")
    if not isinstance(raw.get("id"), str | int | None) or isinstance(raw.get("id"), bool):
        raise BadDialogue("wrong_field", f"'id' is a {type(raw['id']).__name__}; give a string or a whole number.")
    dialogue = Dialogue(
        id=claimed_id(raw, fallback_id),
        turns=tuple(turns),
        system_prompt=system_prompt,
        source=source,
        split=raw.get("split", "") if parse is _own else "",
    )
    _refuse_half_characters(dialogue)
    return dialogue


def claimed_id(raw: Any, fallback_id: str) -> str:
    """The id that a record gives itself, be it a dialogue or not, else the one of its place."""
    claimed = raw.get("id") if isinstance(raw, dict) else None
    if isinstance(claimed, str | int) and not isinstance(claimed, bool) and claimed != "":
        return str(claimed)
    return fallback_id


def _refuse_half_characters(dialogue: Dialogue) -> None:
    """JSON can spell half of a surrogate pair (`"\\ud83d"`), which is no character and can't be written again."""
    texts = {"'id'": dialogue.id, "The system prompt": dialogue.system_prompt}
    for number, turn in enumerate(dialogue.turns, 1):
        heard = turn.recording
        recorded = (heard.path, heard.speaker, *(word.text for word in heard.words)) if heard else ()
        texts[f"Turn {number} ({turn.speaker})"] = "".join((turn.text, turn.voice, *recorded))
    for name, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError:
            message = f"{name} holds half of a surrogate pair, which is no character; remove it or mend its escape."
            raise BadDialogue("not_utf8", message) from None


Parsed = tuple[str, list[Turn]]


def _parser_for(raw: dict[str, Any]) -> Callable[[dict[str, Any]], Parsed]:
    for key, parser in _PARSERS.items():
        if raw.get(key) is not None:
            return parser
    raise BadDialogue(
        "unknown_format",
        f"No dialogue format has the keys {', '.join(sorted(map(str, raw))[:8]) or '(none)'}; "
        f"one of {', '.join(_PARSERS)} is needed.",
    )


def _openai(raw: dict[str, Any]) -> Parsed:
    return _chat(raw, "messages", "role", "content", OPENAI_ROLES)


def _sharegpt(raw: dict[str, Any]) -> Parsed:
    # Some ShareGPT files use OpenAI's keys inside `conversations`.
    messages = raw["conversations"]
    if isinstance(messages, list) and messages and isinstance(messages[0], dict) and "role" in messages[0]:
        return _chat(raw, "conversations", "role", "content", OPENAI_ROLES)
    return _chat(raw, "conversations", "from", "value", SHAREGPT_ROLES)


def _chat(raw: dict[str, Any], list_key: str, role_key: str, text_key: str, roles: dict[str, Speaker | None]) -> Parsed:
    messages = raw[list_key]
    if not isinstance(messages, list):
        raise BadDialogue("wrong_type", f"'{list_key}' must be a list of messages.")
    system: list[str] = []
    turns: list[Turn] = []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise BadDialogue("wrong_type", f"Message {number} of '{list_key}' must be an object.")
        role = message.get(role_key)
        if not isinstance(role, str) or role not in roles:
            raise BadDialogue("wrong_role", f"Message {number} has {role_key} {role!r}; use one of {', '.join(roles)}.")
        text = _text(message.get(text_key), number)
        speaker = roles[role]
        if speaker is None:
            system.append(text)
        else:
            turns.append(Turn(speaker, text))
    return "\n".join(system), turns


def _text(content: Any, number: int) -> str:
    """A message's text: a string, or OpenAI's list of content parts if all of them are text."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        if all(isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str) for p in content):
            return "\n".join(p["text"] for p in content)
        raise BadDialogue("not_text", f"Message {number} holds parts that are not text; leave images and audio out.")
    raise BadDialogue("not_text", f"The text of message {number} is a {type(content).__name__}, not a string.")


def _alpaca(raw: dict[str, Any]) -> Parsed:
    question = _text(raw.get("instruction"), 1)
    if extra := _text(raw.get("input"), 1):
        question = f"{question}\n{extra}"
    return _text(raw.get("system"), 1), [Turn("user", question), Turn("agent", _text(raw.get("output"), 2))]


def _ultrachat(raw: dict[str, Any]) -> Parsed:
    lines = raw["data"]
    if not isinstance(lines, list):
        raise BadDialogue("wrong_type", "'data' must be a list of strings, the user's first.")
    speakers: tuple[Speaker, Speaker] = ("user", "agent")
    return "", [Turn(speakers[i % 2], _text(line, i + 1)) for i, line in enumerate(lines)]


def _own(raw: dict[str, Any]) -> Parsed:
    try:
        own = OwnDialogue.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = "wrong_role" if where.endswith("speaker") else "wrong_field"
        raise BadDialogue(reason, f"'{where}': {first['msg']}.") from None
    return own.system_prompt, [
        Turn(
            t.speaker,
            t.text,
            voice=t.voice,
            event=t.event,
            gap_s=t.gap_s,
            recording=None if t.recording is None else parse_recording(t.recording),
        )
        for t in own.turns
    ]


_PARSERS: dict[str, Callable[[dict[str, Any]], Parsed]] = {
    "turns": _own,
    "messages": _openai,
    "conversations": _sharegpt,
    "instruction": _alpaca,
    "data": _ultrachat,
}
