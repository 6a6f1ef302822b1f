"""Input dialogue formats: one parsed JSON object (or Parquet row) in, one `Dialogue` out.

The format is recognized by the object's contents, in the order of `manifests.readers.shapes.SHAPES`. Unused parts of a
record are counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from manifests.readers.chat import read_chat
from manifests.readers.content import text_of
from manifests.readers.own import read_own
from manifests.readers.reading import Reading, fields_of, kind_of
from manifests.readers.roles import ID_KEYS, SYSTEM_KEYS, is_chat, is_message, role_key
from manifests.readers.shapes import inside, shape_of
from manifests.records import BadDialogue, Dialogue

KNOWN = ("turns", "messages", "conversations", "instruction", "data")
BARE_CHAT = "list of messages"


@dataclass(frozen=True, slots=True)
class Found:
    """A dialogue, the name of its shape, and counts of the record's unused parts."""

    dialogue: Dialogue
    shape: str
    not_used: Mapping[str, int]
    names_itself: bool
    """Whether its id is the record's own `id`."""


def parse_dialogue(raw: Any, source: str, fallback_id: str) -> Dialogue:
    """Turn one raw object into a `Dialogue`; raises `BadDialogue` with the reason if it is not one."""
    return read_dialogue(raw, source, fallback_id).dialogue


def read_dialogue(raw: Any, source: str, fallback_id: str) -> Found:
    """Turn one raw object into a `Dialogue`, with its shape and unused parts; raises `BadDialogue` with the reason if it
    is not one."""
    reading = Reading()
    try:
        name, fields = _filled(raw, reading)
    except RecursionError:
        raise BadDialogue("broken_json", "The record is nested too deeply to be read; flatten it.") from None
    reading.finish()
    _check(reading)
    if not isinstance(fields.get("id"), str | int | None) or isinstance(fields.get("id"), bool):
        raise BadDialogue("wrong_field", f"'id' is a {kind_of(fields['id'])}; use a string or a whole number.")
    dialogue = Dialogue(
        id=claimed_id(fields, fallback_id),
        turns=tuple(reading.turns),
        system_prompt="\n".join(reading.system),
        source=source,
        split=reading.split,
    )
    _refuse_half_characters(dialogue)
    return Found(dialogue, name, reading.not_used, fields.get("id") not in (None, ""))


def _filled(raw: Any, reading: Reading) -> tuple[str, Mapping[str, Any]]:
    """Read any value; returns the shape's name, and the fields that contain the id."""
    if isinstance(raw, dict):
        return _read(raw, reading)
    if isinstance(raw, list) and is_chat(raw):
        read_chat(raw, "messages", reading)
        return BARE_CHAT, {}
    message = f"A dialogue must be a JSON object, or a list of messages; this is a {kind_of(raw)}."
    raise BadDialogue("not_an_object", message)


def claimed_id(raw: Any, fallback_id: str) -> str:
    """A record's own id, whether or not it is a dialogue, else the id from its place."""
    key = _id_key(raw) if isinstance(raw, dict) else ""
    return str(raw[key]) if key else fallback_id


def _id_key(raw: Mapping[str, Any]) -> str:
    """The key of a record's id; empty if it has none."""
    for key in ("id", *ID_KEYS):
        claimed = raw.get(key)
        if isinstance(claimed, str | int) and not isinstance(claimed, bool) and claimed != "":
            return key
    return ""


def _read(raw: dict[str, Any], reading: Reading) -> tuple[str, Mapping[str, Any]]:
    """Read a record by its shape; returns the shape's name, and the fields that contain its id."""
    found = shape_of(raw)
    if found is None:
        return _unwrapped(raw, reading)
    shape, fields = found
    if shape.read is not read_own and not SYSTEM_KEYS.isdisjoint(fields):  # our native format has its own
        for key in sorted(SYSTEM_KEYS.intersection(fields)):
            if not isinstance(fields[key], str | list | dict | None):
                raise BadDialogue("not_text", f"'{key}' is a {kind_of(fields[key])}, not a string.")
            reading.prompt(text_of(fields[key], 1, reading))
    used = shape.read(fields, reading)
    if fields.keys() - used:
        reading.leave_rest(fields, {*used, *SYSTEM_KEYS, _id_key(fields)})
    return shape.name, fields


def _unwrapped(raw: dict[str, Any], reading: Reading) -> tuple[str, Mapping[str, Any]]:
    """A dialogue in a field of the record."""
    key = inside(raw)
    if key is None:
        raise _unknown(raw)
    name, fields = _read(raw[key], reading)
    outer = "" if _id_key(fields) else _id_key(raw)
    reading.leave_rest(raw, {key, outer})
    return name, {**fields, outer: raw[outer]} if outer else fields


def _unknown(raw: Mapping[str, Any]) -> BadDialogue:
    if role_key(raw) and is_message(raw):
        message = "This is one message, not a dialogue; put the messages of a dialogue in one list."
        return BadDialogue("single_message", message)
    return BadDialogue(
        "unknown_format",
        f"No dialogue format has the keys {fields_of(raw)}; use one of {', '.join(KNOWN)}, or a format listed in docs/input.md.",
    )


def _check(reading: Reading) -> None:
    turns = reading.turns
    if not turns:
        raise BadDialogue("no_turns", "The dialogue has no turns; add at least one user and one agent turn.")
    for number, turn in enumerate(turns, 1):
        if not turn.text.strip():
            raise BadDialogue("empty_turn", f"Turn {number} ({turn.speaker}) is empty; add text or remove it.")
    speakers = {turn.speaker for turn in turns}
    if len(speakers) < 2:
        raise BadDialogue("one_sided", f"Only the {speakers.pop()} speaks; a dialogue needs a user and an agent.")


def _refuse_half_characters(dialogue: Dialogue) -> None:
    """JSON can contain half of a surrogate pair (`"\\ud83d"`), which is not a character and can't be encoded."""
    plain = all(turn.text.isascii() and not turn.voice and not turn.recording for turn in dialogue.turns)
    if plain and dialogue.id.isascii() and dialogue.system_prompt.isascii():  # as for most
        return
    texts = [("'id'", dialogue.id), ("The system prompt", dialogue.system_prompt)]
    for number, turn in enumerate(dialogue.turns, 1):
        text = turn.text
        if turn.voice or turn.recording:
            heard = turn.recording
            recorded = (heard.path, heard.speaker, *(word.text for word in heard.words)) if heard else ()
            text = "".join((text, turn.voice, *recorded))
        texts.append((f"Turn {number} ({turn.speaker})", text))
    for name, text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            message = (
                f"{name} contains half of a surrogate pair, which is not a character; remove it or correct its escape."
            )
            raise BadDialogue("not_utf8", message) from None
