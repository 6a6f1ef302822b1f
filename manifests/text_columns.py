"""The manifest's columns of what `speak` makes of the written text: answers in parts, what is not read out."""

from collections.abc import Callable
from dataclasses import dataclass

from manifests.figures import count_column
from manifests.records import Dialogue, DuplexDialogue, Edit


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was done to a dialogue's text."""

    name: str
    title: str
    definition: str
    of: Callable[[Dialogue], int]

    def of_record(self, record: DuplexDialogue) -> int:
        return self.of(record.dialogue)


def _edits(edit: Edit) -> Callable[[Dialogue], int]:
    return lambda dialogue: sum(turn.edit == edit for turn in dialogue.turns)


def _left_out(kind: str) -> Callable[[Dialogue], int]:
    return lambda dialogue: sum(turn.left_out.count(kind) for turn in dialogue.turns)


COUNTS = (
    Count(
        "shortened_answers", "answers shortened", "Answers of which the first sentences alone are spoken.", _edits("shortened")
    ),
    Count(
        "answer_parts", "parts of longer answers", "Turns of the agent that are parts of a longer answer.", _edits("part")
    ),
    Count(
        "added_turns", 'turns put in between them ("go on")',
        "What the user says between such parts; the input does not have it.", _edits("added"),
    ),
    Count(
        "code_blocks", "blocks of code, by a phrase", "Blocks of code in place of which a phrase is spoken.", _left_out("code")
    ),
    Count("tables", "tables, by a phrase", "Tables in place of which a phrase is spoken.", _left_out("table")),
    Count(
        "stage_directions", "stage directions not read out", "Stage directions, such as *laughs*, which are not read out.",
        _left_out("stage direction"),
    ),
    Count(
        "wordless_turns", "turns left out that had nothing to say",
        "Turns with nothing to say, such as an emoji alone, that were left out.", lambda dialogue: dialogue.wordless_turns,
    ),
)  # fmt: skip
TEXT_COLUMNS = tuple(count_column(one.name, one.title, one.of_record, one.definition) for one in COUNTS)
"""In the order of the table's columns."""
