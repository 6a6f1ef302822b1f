"""Records on disk between single stages: `records.jsonl` to read, audio as FLAC to hear, codes as NumPy files.

DIR/records.jsonl      one record a line; arrays are named by their file
DIR/rejected.jsonl     dialogues refused so far, by this stage or one before it
DIR/arrays/ID-N.flac   int16 audio; codes as .npy
"""

import io
import json
import typing
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import TracebackType, UnionType
from typing import Any

import numpy as np
import soundfile

from manifests import records
from manifests.frames import SOURCE_RATE, TARGET_RATE
from manifests.records import Dialogue, DuplexDialogue, Rejected, Speech, SpokenDialogue, Timeline

Record = Dialogue | SpokenDialogue | Timeline | DuplexDialogue

RECORDS, REJECTED, ARRAYS = "records.jsonl", "rejected.jsonl", "arrays"


class UnreadableRecords(ValueError):
    """A folder that no stage wrote, or that was damaged since."""


class RecordWriter:
    """Write records one by one into an existing, empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ARRAYS).mkdir()
        self._records = (folder / RECORDS).open("w", encoding="utf-8")
        self._rejected = (folder / REJECTED).open("w", encoding="utf-8")

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._records.close()
        self._rejected.close()

    def write(self, record: Record | Rejected) -> None:
        if isinstance(record, Rejected):
            self._rejected.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
            return
        self._arrays = 0
        line = {"type": type(record).__name__} | self._plain(record, dialogue_of(record).id)
        self._records.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _plain(self, value: Any, id: str, rate: int | None = None) -> Any:
        if is_dataclass(value):
            rates = _audio_rates(value)
            return {f.name: self._plain(getattr(value, f.name), id, rates.get(f.name)) for f in fields(value)}
        if isinstance(value, tuple):
            return [self._plain(item, id, rate) for item in value]
        return self._save(value, rate, id) if isinstance(value, np.ndarray) else value

    def _save(self, array: np.ndarray, rate: int | None, id: str) -> str:
        name = f"{id}-{self._arrays}.{'flac' if rate else 'npy'}"
        self._arrays += 1
        path = self.folder / ARRAYS / name
        if rate:
            soundfile.write(path, array, rate, format="FLAC", subtype="PCM_16")
        else:
            np.save(path, array, allow_pickle=False)
        return name


def dialogue_of(record: Record) -> Dialogue:
    """The dialogue that a record of any stage carries."""
    if isinstance(record, Dialogue):
        return record
    return record.spoken.dialogue if isinstance(record, Timeline) else record.dialogue


def read_record_files(folder: Path) -> Iterator[Record]:
    """Read back what a `RecordWriter` wrote, one by one; raises `UnreadableRecords`."""
    path = folder / RECORDS
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    plain = json.loads(line)
                    yield _typed(getattr(records, plain.pop("type")), plain, folder / ARRAYS)
                except (ValueError, KeyError, TypeError, AttributeError, OSError, soundfile.LibsndfileError) as error:
                    message = f"{path}, line {number}, is damaged ({error}); run the stage before this one again."
                    raise UnreadableRecords(message) from None
    except FileNotFoundError:
        raise UnreadableRecords(
            f"{folder} holds no {RECORDS}; give --in the folder that the stage before wrote."
        ) from None


def read_rejected(folder: Path) -> list[Rejected]:
    path = folder / REJECTED
    if not path.is_file():
        return []
    return [Rejected(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def _audio_rates(record: Any) -> dict[str, int]:
    """Which of a record's arrays are audio, and their sampling rates."""
    if isinstance(record, Speech):
        return {"samples": record.rate}
    if isinstance(record, DuplexDialogue):
        return {"user": SOURCE_RATE, "agent": TARGET_RATE, "uncut": TARGET_RATE, "reference": TARGET_RATE}
    return {}


def _typed(kind: Any, value: Any, arrays: Path) -> Any:
    """Build a value of the annotated type from its plain form."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if value is None:
        return None
    if origin in (UnionType, typing.Union):
        return _typed(next(k for k in inner if k is not type(None)), value, arrays)
    if origin is tuple:
        return tuple(_typed(inner[0], item, arrays) for item in value)
    if kind is np.ndarray:
        return _load(arrays, value)
    if is_dataclass(kind):
        types = typing.get_type_hints(kind)
        return kind(**{name: _typed(types[name], item, arrays) for name, item in value.items()})  # type: ignore[operator]
    return value


def _load(arrays: Path, name: str) -> np.ndarray:
    if Path(name).name != name:  # a record from elsewhere must not name files out of its folder
        raise ValueError(f"the array name {name!r} is not a plain file name")
    content = (arrays / name).read_bytes()
    if name.endswith(".npy"):
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    samples: np.ndarray = soundfile.read(io.BytesIO(content), dtype="int16")[0]
    return samples
