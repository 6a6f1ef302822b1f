"""A cache of speech on disk, keyed by its inputs: nothing is requested, computed or paid for twice."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from manifests.files import unfinished
from manifests.records import Speech, Word

_FORMAT = 1


class SpeechCache:
    """`made_by` is everything that affects the sound besides the text and the voice.

    Any number of processes may share a folder: entries are written atomically, and damaged ones are
    ignored.
    """

    def __init__(self, folder: str, made_by: Mapping[str, Any]) -> None:
        self.folder = Path(folder).expanduser()
        self._made_by = json.dumps([_FORMAT, made_by], sort_keys=True)

    def get(self, text: str, voice: str) -> Speech | None:
        try:
            with np.load(self._path(text, voice), allow_pickle=False) as entry:
                words = tuple(Word(*word) for word in json.loads(str(entry["words"])))
                return Speech(entry["samples"], int(entry["rate"]), words, str(entry["word_times"]))  # type: ignore[arg-type]
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, text: str, voice: str, speech: Speech) -> None:
        """Raises OSError if the folder can't be written."""
        path = self._path(text, voice)
        path.parent.mkdir(parents=True, exist_ok=True)
        words = json.dumps([[word.text, word.start, word.end] for word in speech.words])
        with unfinished(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file, samples=speech.samples, rate=speech.rate, words=words, word_times=speech.word_times
            )

    def _path(self, text: str, voice: str) -> Path:
        key = hashlib.sha256(json.dumps([self._made_by, voice, text]).encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.npz"
