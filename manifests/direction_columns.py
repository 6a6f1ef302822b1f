"""The entries of `manifests/columns.py` that are about what a director wrote into a dialogue."""

from collections.abc import Callable

import pandas as pd

from manifests.figures import TEXT, WHOLE, Column, Number, count_column, some, total
from manifests.records import DURING, DuplexDialogue


def _said(kind: str) -> Callable[[DuplexDialogue], int]:
    return lambda record: sum(
        disfluency.kind == kind
        for segment in record.timeline.segments
        for disfluency in record.dialogue.turns[segment.turn].disfluencies
    )


def _unplaced(record: DuplexDialogue) -> int:
    turns = record.dialogue.turns
    heard = [s for s in record.timeline.segments if turns[s.turn].after_words is not None]
    placed = sum(segment.event in {*DURING, "barge_in"} for segment in heard)
    return sum(turn.after_words is not None for turn in turns) - placed


def _by_name(rows: pd.DataFrame) -> dict[str, int]:
    counts = rows.iloc[:, 0].value_counts().sort_index()
    return {str(name): int(number) for name, number in counts.items() if name}


DIRECTION_COLUMNS = (
    count_column(
        "hesitations", "hesitations", _said("hesitation"), 'Where a speaker looks for words ("um").'
    ),
    count_column(
        "self_corrections", "self-corrections", _said("self_correction"), 'Where a speaker takes words back ("two, no, sorry,").'
    ),
    Column(
        "director", TEXT, lambda r: r.dialogue.direction.by if r.dialogue.direction else "", "",
        "Who directed the dialogue: rules, or a model's name; empty if nobody did.",
    ),
    Column(
        "director_events", WHOLE, lambda r: r.dialogue.direction.events if r.dialogue.direction else 0, "",
        "What the director wrote into it: interruptions, backchannels, hesitations and self-corrections.",
        (
            Number("dialogues_with_director_events", "dialogues with a director's events", some),
            Number("director_events", "a director's events", total),
        ),
    ),
    count_column(
        "director_unplaced", "a director's events without room", _unplaced,
        "Of these, backchannels left out and interruptions that wait for the end of the turn: there was no room in the speech.",
    ),
    Column(
        "director_failed", TEXT, lambda r: r.dialogue.direction.failed if r.dialogue.direction else "", "",
        "Why what the director wrote was not used, and the dialogue left as it was; empty if it was used.",
        (Number("director_failed", "left as it was by the director", _by_name),),
    ),
)  # fmt: skip
