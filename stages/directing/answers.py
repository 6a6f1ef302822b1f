"""A cache of an LLM's answers, keyed by the request: no request is made, or paid for, twice."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manifests.errors import WorkError
from manifests.store import Store

_FORMAT = 1


class AnswerCache:
    """A cache in a folder or at any fsspec URL. `made_by` is everything besides the request that affects an answer.

    Any number of processes may share one: entries are written atomically, and damaged ones are ignored.
    """

    def __init__(self, place: str, made_by: Mapping[str, Any]) -> None:
        self.store = Store(place if "://" in place else Path(place).expanduser())
        self._made_by = json.dumps([_FORMAT, made_by], sort_keys=True)

    def get(self, asked: object) -> str | None:
        try:
            answer = json.loads(self.store.read(self._name(asked)))["answer"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return answer if isinstance(answer, str) else None

    def put(self, asked: object, answer: str) -> None:
        """Raises `WorkError` if it can't be written."""
        try:
            self.store.write(self._name(asked), json.dumps({"answer": answer}).encode())
        except OSError as error:
            reason = error.strerror or error
            raise WorkError(
                f"The cache of answers {self.store} can't be written ({reason}); name another folder or URL in director.cache."
            ) from None

    def _name(self, asked: object) -> str:
        key = hashlib.sha256(json.dumps([self._made_by, asked]).encode()).hexdigest()
        return f"{key[:2]}/{key}.json"
