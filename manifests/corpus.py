"""A finished corpus, opened: the one way in for the report, the card, `inspect` and whatever else reads one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lhotse import CutSet, MonoCut

from manifests.errors import RequestError
from manifests.records import SPLITS
from manifests.shards import read_cuts
from manifests.table import read_table

FORMAT_VERSION = 1
"""Of the folder's layout and of the cuts' fields; a reader refuses another."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """An opened corpus: its folder, its `corpus.json` and the rows of its tables."""

    path: Path
    info: dict[str, Any]
    dialogues: list[dict[str, Any]]
    rejected: list[dict[str, Any]]

    @property
    def splits(self) -> list[str]:
        """The splits that hold a dialogue."""
        return [split for split in SPLITS if self.info["statistics"]["dialogues"][split]]

    def cuts(self, split: str) -> CutSet:
        return read_cuts(self.path / split)

    def cut(self, id: str) -> MonoCut:
        """The cut of one dialogue; raises `RequestError` where there is none."""
        row = next((row for row in self.dialogues if row["id"] == id), None)
        if row is None:
            dropped = next((r for r in self.rejected if r["id"] == id), None)
            why = f"; it was rejected: {dropped['message']}" if dropped else "."
            if not dropped and self.dialogues:
                why = f"; ids are like {self.dialogues[0]['id']}."
            raise RequestError(f"The corpus {self.path} holds no dialogue '{id}'{why}")
        return next(cut for cut in self.cuts(row["split"]) if cut.id == id)


def open_corpus(path: Path) -> Corpus:
    """Open a finished corpus; raises `RequestError` where there is none, or one of another format version."""
    try:
        info = json.loads((path / "corpus.json").read_text("utf-8"))
        version = info["format_version"]
    except FileNotFoundError:
        begun = (path / ".build").is_dir()
        mend = (
            "its build is not finished; run the same `salm-duplex build` again" if begun else "there is no corpus.json"
        )
        raise RequestError(f"{path} is not a corpus: {mend}.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{path / 'corpus.json'} can't be read ({error}); build the corpus again.") from None
    if version != FORMAT_VERSION:
        raise RequestError(f"{path} has format version {version}, this program reads {FORMAT_VERSION}; build it again.")
    return Corpus(path, info, read_table(path / "manifest"), read_table(path / "rejected"))
