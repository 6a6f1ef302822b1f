"""The entries of `manifests/columns.py` on the events written by a director."""

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
        "hesitations", "hesitations", _said("hesitation"), 'A speaker searches for words ("um").'
    ),
    count_column(
        "self_corrections", "self-corrections", _said("self_correction"), 'A speaker corrects words ("two, no, sorry,").'
    ),
    Column(
        "director", TEXT, lambda r: r.dialogue.direction.by if r.dialogue.direction else "", "",
        "The director of the dialogue: rules, or a model's name; empty if there was none.",
    ),
    Column(
        "director_events", WHOLE, lambda r: r.dialogue.direction.events if r.dialogue.direction else 0, "",
        "Events written by the director: interruptions, backchannels, hesitations and self-corrections.",
        (
            Number("dialogues_with_director_events", "dialogues with director events", some),
            Number("director_events", "director events", total),
        ),
    ),
    count_column(
        "director_unplaced", "director events without room", _unplaced,
        "Of these, backchannels that were dropped and interruptions that wait for the end of the turn, for lack of room in the speech.",
    ),
    Column(
        "director_failed", TEXT, lambda r: r.dialogue.direction.failed if r.dialogue.direction else "", "",
        "Why the director's script was not used and the dialogue left unchanged; empty if it was used.",
        (Number("director_failed", "unchanged by the director", _by_name),),
    ),
)  # fmt: skip
