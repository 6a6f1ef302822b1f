"""Records on disk between single stages: readable `records.jsonl`, audio as FLAC, codes as NumPy files.

DIR/records.jsonl      one record per line; arrays are given by file name
DIR/rejected.jsonl     dialogues rejected so far, by this stage or an earlier one
DIR/arrays/ID-N.flac   int16 audio; codes as .npy
"""

import io
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from manifests.plain import dump, load
from manifests.records import Record, Rejected, dialogue_of

RECORDS, REJECTED, ARRAYS = "records.jsonl", "rejected.jsonl", "arrays"


class UnreadableRecords(ValueError):
    """A folder that was not written by a stage, or was damaged since."""


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
        id, numbers = dialogue_of(record).id, itertools.count()
        plain = dump(record, lambda array, rate: self._save(f"{id}-{next(numbers)}", array, rate))
        self._records.write(json.dumps(plain, ensure_ascii=False) + "\n")

    def _save(self, name: str, array: np.ndarray, rate: int | None) -> str:
        audio = rate is not None and len(array) > 0  # FLAC files can't be empty
        file = f"{name}.flac" if audio else f"{name}.npy"
        if audio:
            soundfile.write(self.folder / ARRAYS / file, array, rate, format="FLAC", subtype="PCM_16")
        else:
            np.save(self.folder / ARRAYS / file, array, allow_pickle=False)
        return file


def read_record_files(folder: Path) -> Iterator[Record]:
    """Read back what a `RecordWriter` wrote, one by one; raises `UnreadableRecords`."""
    path = folder / RECORDS
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield load(json.loads(line), lambda name: _load(folder / ARRAYS, name))
                except (ValueError, AttributeError, TypeError, OSError, soundfile.LibsndfileError) as error:
                    message = f"{path}, line {number}, is damaged ({error}); rerun the previous stage."
                    raise UnreadableRecords(message) from None
    except FileNotFoundError:
        raise UnreadableRecords(
            f"{folder} contains no {RECORDS}; set --in to the folder written by the previous stage."
        ) from None


def read_rejected(folder: Path) -> list[Rejected]:
    path = folder / REJECTED
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as lines:
        return [Rejected(**json.loads(line)) for line in lines]


def _load(arrays: Path, name: str) -> np.ndarray:
    if (
        not isinstance(name, str) or Path(name).name != name
    ):  # an untrusted record must not name files outside its folder
        raise ValueError(f"the array name {name!r} is not a plain file name")
    content = (arrays / name).read_bytes()
    if name.endswith(".npy"):
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    samples: np.ndarray = soundfile.read(io.BytesIO(content), dtype="int16")[0]
    return samples
