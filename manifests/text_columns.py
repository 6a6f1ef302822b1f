"""The manifest's columns on what `speak` does to the written text: answers in parts, contents not read aloud."""

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
        "shortened_answers", "answers shortened", "Answers of which only the first sentences are spoken.", _edits("shortened")
    ),
    Count(
        "answer_parts", "parts of longer answers", "Agent turns that are parts of a longer answer.", _edits("part")
    ),
    Count(
        "added_turns", 'turns added between them ("go on")',
        "User turns between such parts, which are not in the input.", _edits("added"),
    ),
    Count(
        "code_blocks", "code blocks, replaced by a phrase", "Code blocks that are replaced by a spoken phrase.", _left_out("code")
    ),
    Count("tables", "tables, replaced by a phrase", "Tables that are replaced by a spoken phrase.", _left_out("table")),
    Count(
        "stage_directions", "stage directions not read aloud", "Stage directions, such as *laughs*, which are not read aloud.",
        _left_out("stage direction"),
    ),
    Count(
        "wordless_turns", "dropped turns with nothing to say",
        "Dropped turns with nothing to say, such as a single emoji.", lambda dialogue: dialogue.wordless_turns,
    ),
)  # fmt: skip
TEXT_COLUMNS = tuple(count_column(one.name, one.title, one.of_record, one.definition) for one in COUNTS)
"""In the order of the table's columns."""
