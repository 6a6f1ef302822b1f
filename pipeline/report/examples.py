"""Example dialogues of a corpus, chosen for its report."""

import base64
import itertools
from typing import Any

import numpy as np
import pandas as pd

from manifests.corpus import Corpus
from pipeline.report.dialogue_view import dialogue_view, mp3
from pipeline.report.listing import EVENTS, occurs

EXAMPLES = 12
"""Maximum number of examples. The first have different lengths; the others show events that the first do not have."""
OF_ALL_LENGTHS = 5
LONGEST_EXAMPLE_S = 60.0
ALL_EXAMPLES_S = EXAMPLES * LONGEST_EXAMPLE_S
"""Maximum total duration of the examples: twelve minutes add about 12 MB to the page."""
SPLIT_ORDER = {"test": 0, "validation": 1, "train": 2}


def examples(corpus: Corpus) -> list[dict[str, Any]]:
    """The template's values for each example."""
    chosen = choose_examples(corpus.dialogues.read("id", "split", "shard", "duration_s", "turns", *EVENTS))
    cuts = corpus.cuts_of(chosen)
    return [
        dialogue_view(cuts[id], split, f"data:audio/mpeg;base64,{base64.b64encode(mp3(cuts[id])).decode()}")
        for id, split in zip(chosen["id"], chosen["split"], strict=True)
    ]


def choose_examples(rows: pd.DataFrame) -> pd.DataFrame:
    """Up to twelve dialogues of at most a minute, preferably with test voices.

    Four with a barge-in and one without, if available, of different lengths; then one for each event (a column of
    `EVENTS`) that none of them has. Longer dialogues are chosen only if there are no others, and never more than twelve
    minutes in total.
    """
    by_length = rows.sort_values(["duration_s", "id"])
    short = by_length[by_length["duration_s"] <= LONGEST_EXAMPLE_S]
    if short.empty:
        short = by_length[:OF_ALL_LENGTHS]
    lively, calm = short[short["barge_ins"] > 0], short[short["barge_ins"] == 0]
    number = min(len(lively), OF_ALL_LENGTHS - 1 if len(calm) else OF_ALL_LENGTHS)
    chosen = pd.concat([_spread(lively, number), _spread(calm, min(len(calm), OF_ALL_LENGTHS - number))])
    for event in (name for name in EVENTS if name in rows):
        if len(chosen) < EXAMPLES and not occurs(chosen[event]).any():
            having = short[occurs(short[event])]
            chosen = pd.concat([chosen, _spread(having, min(1, len(having)))])
    return chosen[chosen["duration_s"].cumsum() <= ALL_EXAMPLES_S]


def _spread(by_length: pd.DataFrame, number: int) -> pd.DataFrame:
    """One row from each of `number` length classes: test before validation before train, then more turns first."""
    ranked = by_length.assign(split_order=by_length["split"].map(SPLIT_ORDER), fewer_turns=-by_length["turns"])
    edges = np.linspace(0, len(ranked), number + 1).astype(int)
    classes = [ranked[first:last] for first, last in itertools.pairwise(edges)]
    firsts = [rows.sort_values(["split_order", "fewer_turns", "id"])[:1] for rows in classes]
    return pd.concat([ranked[:0], *firsts])
