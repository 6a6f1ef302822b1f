"""Real recordings in input dialogues: a turn names an audio file, or contains a Lhotse cut as JSON.

Audio is read as a file and never through the cut's own loading: a Lhotse source may be a command, and an input must not
run one.
"""

import io
import os
from pathlib import PurePosixPath
from typing import Any, Literal

import fsspec
import numpy as np
import soundfile
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from manifests.records import BadDialogue, Recording, TimedWord

MAX_SECONDS = 120
"""Maximum duration of a recording, as one turn."""
_LONGEST_FILE_S = 1e7
_SLACK_S = 0.1
"""Tolerance for alignments beyond the edges of a cut."""


class _Part(BaseModel):
    """A part of a Lhotse manifest, with only the fields that are read here."""

    model_config = ConfigDict(extra="ignore")


class _Source(_Part):
    type: Literal["file", "url"]
    channels: list[int] = Field(min_length=1)
    source: str


class _Recording(_Part):
    sources: list[_Source] = Field(min_length=1)
    transforms: list[Any] | None = None


class _Supervision(_Part):
    speaker: str | None = None
    alignment: dict[str, list[tuple[str, float, float] | tuple[str, float, float, float | None]]] | None = None


class _Cut(_Part):
    start: float = Field(default=0, ge=0, le=_LONGEST_FILE_S, allow_inf_nan=False)
    duration: float = Field(gt=0, le=_LONGEST_FILE_S, allow_inf_nan=False)
    channel: int = 0
    recording: _Recording
    supervisions: list[_Supervision] = []


def parse_recording(raw: str | dict[str, Any]) -> Recording:
    """A path or a Lhotse cut as a `Recording`; raises `BadDialogue` if it is neither."""
    if isinstance(raw, str):
        if not raw.strip():
            raise BadDialogue("wrong_field", "'recording' is empty; name an audio file, or omit it.")
        return Recording(_path(raw))
    try:
        cut = _Cut.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadDialogue(
            "wrong_field", f"'recording' is not a Lhotse cut of one channel: '{where}': {first['msg']}."
        ) from None
    source = next((s for s in cut.recording.sources if cut.channel in s.channels), None)
    if source is None or cut.recording.transforms:
        reason = "has no source for its channel" if source is None else "modifies its audio; save it to a file first"
        raise BadDialogue("wrong_field", f"The Lhotse cut in 'recording' {reason}.")
    return Recording(
        _path(source.source),
        cut.start,
        cut.duration,
        source.channels.index(cut.channel),
        next((s.speaker for s in cut.supervisions if s.speaker), ""),
        _words(cut),
    )


def _path(path: str) -> str:
    if "\0" in path:
        raise BadDialogue("wrong_field", "The path of 'recording' contains a null character; remove it.")
    return path


def _words(cut: _Cut) -> tuple[TimedWord, ...]:
    """The cut's aligned words, relative to its start. When cutting, Lhotse keeps alignments in the recording's time; an
    alignment outside the cut belongs to something else and is ignored."""
    items = [item for s in cut.supervisions for item in (s.alignment or {}).get("word", []) if item[0].strip()]
    words = [TimedWord(w, round(at - cut.start, 8), round(at - cut.start + length, 8)) for w, at, length, *_ in items]
    inside = all(-_SLACK_S <= w.start_s <= w.end_s <= cut.duration + _SLACK_S for w in words)
    return tuple(words) if inside else ()


def found_beside(path: str, file: str) -> str:
    """The location of a recording named in the dialogue file at path or URL `file`: relative paths are relative to that
    file."""
    if "://" in path or os.path.isabs(path):
        return path
    if "://" in file:
        return f"{file.rsplit('/', 1)[0]}/{PurePosixPath(path)}"
    return os.path.join(os.path.dirname(os.path.abspath(file)), path)


def read_recording(recording: Recording) -> tuple[np.ndarray, int]:
    """The recording's part of the audio, float32 (samples,), and its sampling rate; raises `BadDialogue` if it can't
    be read."""

    def bad(reason: str, message: str) -> BadDialogue:
        return BadDialogue(reason, f"The recording {recording.path} {message}.")

    try:
        if "://" in recording.path:
            with fsspec.open(recording.path, "rb") as file:
                content: Any = io.BytesIO(file.read())
        else:
            content = recording.path
        with soundfile.SoundFile(content) as audio:
            rate, first = audio.samplerate, round(recording.start_s * audio.samplerate)
            wanted = audio.frames - first if recording.duration_s is None else round(recording.duration_s * rate)
            if recording.channel >= audio.channels:
                raise bad("recording_unreadable", f"has {audio.channels} channels, without the requested one")
            # Lhotse rounds a duration to eight digits, which may be a sample beyond the end.
            if first >= audio.frames or first + wanted > audio.frames + rate // 100:
                raise bad("recording_unreadable", f"ends after {audio.frames / rate:.2f} s, before the requested part")
            if wanted > MAX_SECONDS * rate:
                raise bad("recording_too_long", f"lasts {wanted / rate:.0f} s; a turn may last at most {MAX_SECONDS} s")
            audio.seek(first)
            samples: np.ndarray = audio.read(wanted, dtype="float32", always_2d=True)[:, recording.channel]
    except (OSError, ImportError, ValueError, soundfile.LibsndfileError) as error:
        if isinstance(error, BadDialogue):
            raise
        if isinstance(error, FileNotFoundError) or ("://" not in recording.path and not os.path.exists(recording.path)):
            raise bad("recording_missing", "does not exist; check the path") from None
        raise bad("recording_unreadable", f"can't be read: {str(error).rstrip('.')}") from None
    if not np.all(np.isfinite(samples)):
        raise bad("recording_unreadable", "contains samples that are not numbers")
    return samples, rate
