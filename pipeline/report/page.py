"""report.html: a corpus's statistics, its timing in plots, and dialogues to hear and to see. One file, no network."""

import json
from pathlib import Path
from typing import Any

import jinja2

from manifests.columns import distributions, numbers
from manifests.corpus import Corpus
from manifests.figures import Aim
from pipeline.report.card import voice_licenses
from pipeline.report.examples import examples
from pipeline.report.histogram import histogram_svg
from pipeline.report.statistics import split_numbers
from pipeline.report.timeline_layout import PIXELS_PER_SECOND
from pipeline.report.timing import timing_rows

TEMPLATE = Path(__file__).parent / "report.html.j2"


def report(corpus: Corpus) -> str:
    """The page. It contains no paths or clock times: equal corpora have equal reports."""
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        TEMPLATE.read_text("utf-8")
    )
    parts = split_numbers(corpus.dialogues)
    return template.render(
        recipe_id=corpus.recipe_id,
        seed=corpus.info["identity"]["recipe"]["seed"],
        statistics=corpus.info["statistics"],
        licenses=voice_licenses(corpus.info),
        splits={split: parts[split] for split in corpus.splits},
        numbers=[figure for _, figure in numbers() if figure.in_splits],
        distributions=list(distributions()),
        rejected=_rejected(corpus),
        plots=_plots(corpus),
        audit=_audit(corpus),
        timing=timing_rows(corpus),
        examples=examples(corpus),
        pixels_per_second=PIXELS_PER_SECOND,
    )


def _audit(corpus: Corpus) -> list[dict[str, Any]]:
    """What `salm-duplex audit` found, where it has been asked."""
    try:
        found: dict[str, list[dict[str, Any]]] = json.loads(corpus.store.read("audit.json"))
    except FileNotFoundError:
        return []
    return found["findings"]


def _rejected(corpus: Corpus) -> list[dict[str, Any]]:
    """A row for each stage and reason: how many dialogues, the first of them as an example."""
    rows = corpus.rejected.read("id", "stage", "reason", "message")
    first = rows.assign(name=rows["stage"] + "/" + rows["reason"]).drop_duplicates("name").sort_values("name")
    counts = corpus.info["statistics"]["rejected_by_reason"]
    return [dict(row, number=counts[row["name"]]) for _, row in first.iterrows()]


def _plots(corpus: Corpus) -> list[dict[str, Any]]:
    recipe, plots = corpus.info["identity"]["recipe"], []
    for column, figure in distributions():
        values = corpus.dialogues.values(column.name)
        marks = tuple(mark for aim in figure.aims if (mark := _mark(recipe, aim)) is not None)
        if len(values):
            svg = histogram_svg(figure, column.unit, values, marks)
            plots.append({"title": figure.title, "definition": column.definition, "n": len(values), "svg": svg})
    return plots


def _mark(recipe: Any, aim: Aim) -> float | None:
    """The recipe's number; None where there is none: a class of the user's own may have other settings."""
    for key in aim.setting.split("."):
        recipe = recipe.get(key) if isinstance(recipe, dict) else None
    return recipe * aim.times if isinstance(recipe, int | float) else None
