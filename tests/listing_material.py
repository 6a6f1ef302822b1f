"""Rows of a manifest."""

import pandas as pd
import pyarrow as pa

from manifests.table import DIALOGUES
from pipeline.report.listing import EVENTS

PLAIN = {
    "id": "d",
    "split": "train",
    "source": "f:1",
    "duration_s": 1.0,
    "turns": 2,
    "user_voice": "a",
    "agent_voice": "z",
}


def table(*rows: dict) -> pd.DataFrame:
    """A manifest's rows of plain dialogues, with the given changes to each."""
    counts = {name: 0 for name in EVENTS if DIALOGUES.field(name).type == pa.int64()}
    made = pa.Table.from_pylist([PLAIN | counts | row for row in rows], schema=DIALOGUES)
    return made.to_pandas(types_mapper=pd.ArrowDtype)
