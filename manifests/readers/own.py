"""Our native format, which can also set voices, events, gaps and recordings."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from manifests.readers.reading import Reading
from manifests.recordings import parse_recording
from manifests.records import Act, BadDialogue, Event, Speaker, Turn


class OwnTurn(BaseModel):
    """A turn of our native format."""

    model_config = ConfigDict(extra="forbid")

    speaker: Speaker
    text: str
    voice: str = ""
    event: Event | None = None
    act: Act = ""
    gap_s: float | None = Field(default=None, ge=0, le=60, allow_inf_nan=False)
    recording: str | dict[str, Any] | None = None


class OwnDialogue(BaseModel):
    """Our native format: `{"id", "system_prompt", "split", "turns": [{"speaker", "text", "voice", "event", "act",
    "gap_s", "recording"}]}`; `recording` is the path of an audio file, or a Lhotse cut."""

    model_config = ConfigDict(extra="forbid")

    id: str | int | None = None
    system_prompt: str = ""
    split: Literal["", "train", "validation", "test"] = ""
    turns: list[OwnTurn]


def read_own(raw: Mapping[str, Any], reading: Reading) -> set[str]:
    """salm-duplex's native format."""
    try:
        own = OwnDialogue.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = "wrong_role" if where.endswith("speaker") else "wrong_field"
        raise BadDialogue(reason, f"'{where}': {first['msg']}.") from None
    if own.system_prompt:
        reading.system.append(own.system_prompt)
    reading.split = own.split
    for turn in own.turns:
        reading.turns.append(
            Turn(
                turn.speaker,
                turn.text,
                voice=turn.voice,
                event=turn.event,
                act=turn.act,
                gap_s=turn.gap_s,
                recording=None if turn.recording is None else parse_recording(turn.recording),
            )
        )
    return set(OwnDialogue.model_fields)
