"""`salm-duplex look`: what a dialogue file contains and what a build would make of it, without building anything."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from manifests.progress import Progress
from manifests.records import Dialogue, Rejected
from manifests.text_columns import COUNTS
from pipeline.recipe import Recipe
from stages.ingest import ingest

EXAMPLES = 3
SPOKEN = 500
"""Maximum number of dialogues passed to the recipe's first stage, which is slower than reading."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason why records would be rejected, their number, and the first of them."""

    stage: str
    reason: str
    number: int
    source: str
    message: str


@dataclass(frozen=True, slots=True)
class Look:
    read: int
    dialogues: int
    shapes: dict[str, int]
    """Number of dialogues by shape, most frequent first."""
    refused: tuple[Refusal, ...]
    spoken: int
    """Number of dialogues that the recipe's first stage processed: its rejections are among these."""
    made: dict[str, int]
    """Counts of what the first stage did to their text, such as splitting long answers, by the titles of
    `manifests.text_columns`."""
    not_used: dict[str, int]
    examples: tuple[Dialogue, ...]


def look(inputs: Sequence[str], recipe: Recipe, limit: int | None, progress: Progress) -> Look:
    """Read the input as `build` would, with the recipe's settings; raises `RequestError` if it can't be read at all."""
    dialogues = 0
    first: list[Dialogue] = []
    refused: list[Rejected] = []
    counts: Counter[tuple[str, str]] = Counter()
    made: Counter[str] = Counter()

    def refuse(rejected: Rejected) -> None:
        kind = (rejected.stage, rejected.reason)
        counts[kind] += 1
        if counts[kind] == 1:
            refused.append(rejected)

    ingestion = ingest(inputs, recipe.ingest.model_copy(update={"takes": 1}), recipe.seed, limit)
    for number, record in enumerate(ingestion):
        if isinstance(record, Rejected):
            refuse(record)
        else:
            dialogues += 1
            if len(first) < SPOKEN:
                first.append(record)
        if number and number % 10_000 == 0:
            progress(number, 0, "reading the dialogues")
    if first and recipe.stages and recipe.stages[0].types.takes is recipe.stages[0].types.gives is Dialogue:
        for result in recipe.stages[0].make(recipe.seed).process(first):
            if isinstance(result, Rejected):
                refuse(result)
            else:
                made.update({one.title: one.of(result) for one in COUNTS})
    return Look(
        read=ingestion.read,
        dialogues=dialogues,
        shapes=dict(ingestion.shapes.most_common()),
        refused=tuple(
            Refusal(one.stage, one.reason, counts[one.stage, one.reason], one.source, one.message) for one in refused
        ),
        spoken=len(first),
        made={title: number for title, number in made.items() if number},
        not_used=dict(ingestion.not_used.most_common()),
        examples=tuple(islice(first, EXAMPLES)),
    )
