"""A finished corpus, opened: the one way in for the report, the card, `inspect` and whatever else reads one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lhotse import CutSet, MonoCut

from manifests.errors import RequestError
from manifests.records import SPLITS
from manifests.shards import read_cuts
from manifests.store import Store
from manifests.table import Table, corpus_tables

FORMAT_VERSION = 1
"""Of the folder's layout and of the cuts' fields; a reader refuses another."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """An opened corpus: its folder, its `corpus.json` and its tables, of which columns are read as they are asked for."""

    path: Path
    info: dict[str, Any]
    dialogues: Table
    rejected: Table

    @property
    def splits(self) -> list[str]:
        """The splits that hold a dialogue."""
        return [split for split in SPLITS if self.info["statistics"]["dialogues"][split]]

    @property
    def recipe_id(self) -> str:
        """The hash of the recipe that its rows name; empty where it holds no dialogue."""
        recipes = self.dialogues.read("recipe")["recipe"]
        return str(recipes.iloc[0]) if len(recipes) else ""

    def cuts(self, split: str) -> CutSet:
        return read_cuts(self.path / split)

    def cut(self, id: str) -> MonoCut:
        """The cut of one dialogue; raises `RequestError` where there is none."""
        known = self.dialogues.read("id", "split").set_index("id")["split"]
        if id in known.index:
            return next(cut for cut in self.cuts(known[id]) if cut.id == id)
        rejected = self.rejected.read("id", "message").drop_duplicates("id").set_index("id")["message"]
        why = f"; ids are like {known.index[0]}." if len(known) else "."
        if id in rejected.index:
            why = f"; it was rejected: {rejected[id]}"
        raise RequestError(f"The corpus {self.path} holds no dialogue '{id}'{why}")


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
    return Corpus(path, info, *corpus_tables(Store(path)))
