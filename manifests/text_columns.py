"""The manifest's columns of what `speak` makes of the written text: answers in parts, what is not read out."""

from collections.abc import Callable

import pandas as pd

from manifests.figures import WHOLE, Column, Number
from manifests.records import DuplexDialogue, Edit


def _edits(edit: Edit) -> Callable[[DuplexDialogue], int]:
    return lambda record: sum(turn.edit == edit for turn in record.dialogue.turns)


def _left_out(kind: str) -> Callable[[DuplexDialogue], int]:
    return lambda record: sum(turn.left_out.count(kind) for turn in record.dialogue.turns)


def _sum(rows: pd.DataFrame) -> int:
    return int(rows.sum().sum())


TEXT_COLUMNS = (
    Column(
        "shortened_answers", WHOLE, _edits("shortened"), "", "Answers of which the first sentences alone are spoken.",
        (Number("shortened_answers", "answers shortened", _sum),),
    ),
    Column(
        "answer_parts", WHOLE, _edits("part"), "", "Turns of the agent that are parts of a longer answer.",
        (Number("answer_parts", "parts of longer answers", _sum),),
    ),
    Column(
        "added_turns", WHOLE, _edits("added"), "", "What the user says between such parts; the input does not have it.",
        (Number("added_turns", 'turns put in between them ("go on")', _sum),),
    ),
    Column(
        "code_blocks", WHOLE, _left_out("code"), "", "Blocks of code in place of which a phrase is spoken.",
        (Number("code_blocks", "blocks of code, by a phrase", _sum),),
    ),
    Column(
        "tables", WHOLE, _left_out("table"), "", "Tables in place of which a phrase is spoken.",
        (Number("tables", "tables, by a phrase", _sum),),
    ),
    Column(
        "stage_directions", WHOLE, _left_out("stage direction"), "", "Stage directions, such as *laughs*, which are not read out.",
        (Number("stage_directions", "stage directions not read out", _sum),),
    ),
    Column(
        "wordless_turns", WHOLE, lambda r: r.dialogue.wordless_turns, "",
        "Turns with nothing to say, such as an emoji alone, that were left out.",
        (Number("wordless_turns", "turns left out that had nothing to say", _sum),),
    ),
)  # fmt: skip
"""In the order of the table's columns."""
