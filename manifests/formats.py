"""Input dialogue formats: one parsed JSON object (or Parquet row) in, one `Dialogue` out.

The format is told by what the object holds, in the order of `manifests.readers.shapes.SHAPES`. What a reader does not use
of a record is counted.
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
    """A dialogue, the name of the shape that it had, and how often each thing of the record was not used."""

    dialogue: Dialogue
    shape: str
    not_used: Mapping[str, int]
    names_itself: bool
    """Whether its id is the record's own `id`."""


def parse_dialogue(raw: Any, source: str, fallback_id: str) -> Dialogue:
    """Turn one raw object into a `Dialogue`; raises `BadDialogue` with the reason where it is not one."""
    return read_dialogue(raw, source, fallback_id).dialogue


def read_dialogue(raw: Any, source: str, fallback_id: str) -> Found:
    """Turn one raw object into a `Dialogue`, and tell what it was; raises `BadDialogue` with the reason where it is
    none."""
    reading = Reading()
    try:
        name, fields = _filled(raw, reading)
    except RecursionError:
        raise BadDialogue("broken_json", "The record is nested too deep to be read.") from None
    reading.finish()
    _check(reading)
    if not isinstance(fields.get("id"), str | int | None) or isinstance(fields.get("id"), bool):
        raise BadDialogue("wrong_field", f"'id' is a {kind_of(fields['id'])}; give a string or a whole number.")
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
    """Read anything; returns the shape's name, and the fields among which the id is."""
    if isinstance(raw, dict):
        return _read(raw, reading)
    if isinstance(raw, list) and is_chat(raw):
        read_chat(raw, "messages", reading)
        return BARE_CHAT, {}
    message = f"A dialogue must be a JSON object, or a list of messages; this is a {kind_of(raw)}."
    raise BadDialogue("not_an_object", message)


def claimed_id(raw: Any, fallback_id: str) -> str:
    """The id that a record gives itself, be it a dialogue or not, else the one of its place."""
    key = _id_key(raw) if isinstance(raw, dict) else ""
    return str(raw[key]) if key else fallback_id


def _id_key(raw: Mapping[str, Any]) -> str:
    """Where a record's id stands; empty if it has none."""
    for key in ("id", *ID_KEYS):
        claimed = raw.get(key)
        if isinstance(claimed, str | int) and not isinstance(claimed, bool) and claimed != "":
            return key
    return ""


def _read(raw: dict[str, Any], reading: Reading) -> tuple[str, Mapping[str, Any]]:
    """Read a record by its shape; returns the shape's name, and the fields among which its id is."""
    found = shape_of(raw)
    if found is None:
        return _unwrapped(raw, reading)
    shape, fields = found
    if shape.read is not read_own and not SYSTEM_KEYS.isdisjoint(fields):  # our own form takes its own
        for key in sorted(SYSTEM_KEYS.intersection(fields)):
            if not isinstance(fields[key], str | list | dict | None):
                raise BadDialogue("not_text", f"'{key}' is a {kind_of(fields[key])}, not a string.")
            reading.prompt(text_of(fields[key], 1, reading))
    used = shape.read(fields, reading)
    if fields.keys() - used:
        reading.leave_rest(fields, {*used, *SYSTEM_KEYS, _id_key(fields)})
    return shape.name, fields


def _unwrapped(raw: dict[str, Any], reading: Reading) -> tuple[str, Mapping[str, Any]]:
    """A dialogue that lies in a field of the record."""
    key = inside(raw)
    if key is None:
        raise _unknown(raw)
    name, fields = _read(raw[key], reading)
    outer = "" if _id_key(fields) else _id_key(raw)
    reading.leave_rest(raw, {key, outer})
    return name, {**fields, outer: raw[outer]} if outer else fields


def _unknown(raw: Mapping[str, Any]) -> BadDialogue:
    if role_key(raw) and is_message(raw):
        message = "This is one message, not a dialogue; give the messages of a dialogue as one list."
        return BadDialogue("single_message", message)
    return BadDialogue(
        "unknown_format",
        f"No dialogue format has the keys {fields_of(raw)}; one of {', '.join(KNOWN)} is needed, or a form that docs/input.md lists.",
    )


def _check(reading: Reading) -> None:
    turns = reading.turns
    if not turns:
        raise BadDialogue("no_turns", "The dialogue has no turns; give it at least one user and one agent turn.")
    for number, turn in enumerate(turns, 1):
        if not turn.text.strip():
            raise BadDialogue("empty_turn", f"Turn {number} ({turn.speaker}) is empty; give it text or remove it.")
    speakers = {turn.speaker for turn in turns}
    if len(speakers) < 2:
        raise BadDialogue("one_sided", f"Only the {speakers.pop()} speaks; a dialogue needs a user and an agent.")


def _refuse_half_characters(dialogue: Dialogue) -> None:
    """JSON can spell half of a surrogate pair (`"\\ud83d"`), which is no character and can't be written again."""
    plain = all(turn.text.isascii() and not turn.voice and not turn.recording for turn in dialogue.turns)
    if plain and dialogue.id.isascii() and dialogue.system_prompt.isascii():  # as most are
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
            message = f"{name} holds half of a surrogate pair, which is no character; remove it or mend its escape."
            raise BadDialogue("not_utf8", message) from None
