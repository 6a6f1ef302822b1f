"""report.html: a corpus's statistics, plots of its timing, and dialogues to play. One file, no network."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from manifests.columns import distributions, numbers
from manifests.corpus import Corpus
from pipeline.report.card import voice_licenses
from pipeline.report.examples import examples
from pipeline.report.histogram import histogram_svg
from pipeline.report.listing import CHECKS, CHOICE_COLUMNS, ROW_COLUMNS, Query, Row, choices, rows_of
from pipeline.report.statistics import label_rows, split_numbers
from pipeline.report.targets import marks_of, targets
from pipeline.report.templates import templates
from pipeline.report.timing import timing_rows

MOST_ROWS = 2_000
"""Dialogues in the report's list; `salm-duplex browse` lists all of a larger corpus."""
ROWS_SHOWN = 25


def report(corpus: Corpus) -> str:
    """The page. It contains no paths or clock times: equal corpora have equal reports."""
    parts = split_numbers(corpus.dialogues)
    shown = examples(corpus)
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            recipe_id=corpus.recipe_id,
            seed=corpus.info["identity"]["recipe"]["seed"],
            statistics=corpus.info["statistics"],
            licenses=voice_licenses(corpus.info),
            splits={split: parts[split] for split in corpus.splits},
            numbers=[figure for _, figure in numbers() if figure.in_splits],
            distributions=list(distributions()),
            labels=label_rows(corpus.info["statistics"]),
            rejected=_rejected(corpus),
            plots=_plots(corpus),
            audit=_audit(corpus),
            targets=targets(corpus),
            timing=timing_rows(corpus),
            choices=choices(corpus.dialogues.parts(*CHOICE_COLUMNS)),
            query=Query(),
            rows=_rows(corpus, [example["id"] for example in shown]),
            rows_shown=ROWS_SHOWN,
            least=[check.column for check in CHECKS if check.worst == "least"],
            examples=shown,
            example_of={example["id"]: f"#dialogue-{number}" for number, example in enumerate(shown, 1)},
        )
    )


def _rows(corpus: Corpus, examples: list[str]) -> list[Row]:
    """The `examples` and as many others as fit, in the table's order."""
    table = pd.concat([corpus.dialogues.read(*ROW_COLUMNS).iloc[:0], *_first_rows(corpus, examples)])
    return rows_of(table.reset_index(drop=True))


def _first_rows(corpus: Corpus, examples: list[str]) -> Iterator[pd.DataFrame]:
    room = MOST_ROWS - len(examples)
    for part in corpus.dialogues.parts(*ROW_COLUMNS):
        own = part["id"].isin(examples)
        others = part[~own][:room]
        room -= len(others)
        yield part.loc[part.index[own].union(others.index)]


def _audit(corpus: Corpus) -> list[dict[str, Any]]:
    """The findings of `salm-duplex audit`; none if it has not run."""
    try:
        found: dict[str, list[dict[str, Any]]] = json.loads(corpus.store.read("audit.json"))
    except FileNotFoundError:
        return []
    return found["findings"]


def _rejected(corpus: Corpus) -> list[dict[str, Any]]:
    """A row for each stage and reason: the number of dialogues, and the first one as an example."""
    rows = corpus.rejected.read("id", "stage", "reason", "message")
    first = rows.assign(name=rows["stage"] + "/" + rows["reason"]).drop_duplicates("name").sort_values("name")
    counts = corpus.info["statistics"]["rejected_by_reason"]
    return [dict(row, number=counts[row["name"]]) for _, row in first.iterrows()]


def _plots(corpus: Corpus) -> list[dict[str, Any]]:
    recipe, plots = corpus.info["identity"]["recipe"], []
    for column, figure in distributions():
        values = corpus.dialogues.values(column.name)
        if len(values):
            svg = histogram_svg(figure, column.unit, values, marks_of(recipe, figure))
            plots.append({"title": figure.title, "definition": column.definition, "n": len(values), "svg": svg})
    return plots
