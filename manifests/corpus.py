"""Opens a finished corpus, for the report, the card, `inspect` and all other readers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from lhotse import CutSet, MonoCut

from manifests.errors import RequestError
from manifests.records import SPLITS
from manifests.shard_index import CutReader
from manifests.shard_reader import read_cuts
from manifests.store import Store
from manifests.table import Table, corpus_tables

FORMAT_VERSION = 1
"""Version of the folder layout and the cuts' fields; readers reject others."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """An opened corpus: its store, its `corpus.json` and its tables, whose columns are read on demand."""

    store: Store
    info: dict[str, Any]
    dialogues: Table
    rejected: Table

    @property
    def url(self) -> str:
        """Its path or URL, as given."""
        return self.store.url

    @property
    def name(self) -> str:
        """The last part of its path or URL."""
        return self.store.absolute.rsplit("/", 1)[-1]

    @property
    def splits(self) -> list[str]:
        """The non-empty splits."""
        return [split for split in SPLITS if self.info["statistics"]["dialogues"][split]]

    @property
    def recipe_id(self) -> str:
        """The recipe hash in its rows; empty if it has no dialogues."""
        recipes = self.dialogues.read("recipe")["recipe"]
        return str(recipes.iloc[0]) if len(recipes) else ""

    def cuts(self, split: str) -> CutSet:
        return read_cuts(self.store.folder(split))

    def cut(self, id: str) -> MonoCut:
        """The cut of one dialogue; raises `RequestError` if there is none."""
        rows = self.dialogues.read("id", "split", "shard")
        if len(row := rows[rows["id"] == id]):
            return self.cuts_of(row)[id]
        rejected = self.rejected.read("id", "message")
        why = f"; ids are like {rows['id'].iloc[0]}." if len(rows) else "."
        if len(dropped := rejected[rejected["id"] == id]):
            why = f"; it was rejected: {dropped['message'].iloc[0]}"
        raise RequestError(f"The corpus {self.url} has no dialogue '{id}'{why}")

    def cuts_of(self, rows: pd.DataFrame, reader: CutReader | None = None) -> dict[str, MonoCut]:
        """The cuts of these dialogues (`id`, `split`, `shard`) by id, each read separately; for rows without a
        shard, the whole split is read. A `reader` that is kept finds the cuts of a shard faster the next time. Raises `KeyError` if a shard does not have the cut."""
        known, reader = rows[rows["shard"].notna()], reader or CutReader()
        found = {
            id: reader.cut(self.store.folder(split), int(shard), id)
            for id, split, shard in zip(known["id"], known["split"], known["shard"], strict=True)
        }
        for split, own in rows[rows["shard"].isna()].groupby("split"):
            missing = set(own["id"])
            for cut in read_cuts(self.store.folder(str(split))):
                if cut.id in missing:
                    found[cut.id] = cut
                    missing.remove(cut.id)
                if not missing:
                    break
        return found


def open_corpus(place: str | Path) -> Corpus:
    """Open a finished corpus at a path or URL; raises `RequestError` if there is none, or one of another format
    version."""
    store = Store(place)
    store.check()
    try:
        info = json.loads(store.read("corpus.json"))
        version = info["format_version"]
    except FileNotFoundError:
        begun = store.exists(".build")
        mend = "its build is not finished; rerun the same `salm-duplex build`" if begun else "there is no corpus.json"
        raise RequestError(f"{store} is not a corpus: {mend}.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{store.at('corpus.json')} can't be read ({error}); rebuild the corpus.") from None
    if version != FORMAT_VERSION:
        raise RequestError(
            f"{store} has format version {version}, but this program reads version {FORMAT_VERSION}; rebuild it."
        )
    return Corpus(store, info, *corpus_tables(store))
