"""What `salm-duplex evaluate` prints: a test set's figures next to the reference's and the paper's."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from salm_duplex_model.evaluation.metrics import BEHAVIOR
from salm_duplex_model.evaluation.scores import BY_TEXT

PAPER: dict[str, tuple[float, float]] = {
    "barge_in_success_rate": (0.830, 0.945),
    "barge_in_latency_s": (0.52, 0.69),
    "false_alarm_rate": (0.0, 0.0),
    "first_response_latency_s": (0.72, 0.92),
    "agent_utmos": (4.3, 4.0),
}
"""SALM-Duplex on its own test sets, UltraChat and Impatient (arXiv 2505.15670v4): other dialogues and another model
size."""


def tables(result: dict[str, Any]) -> Iterator[Table]:
    """A table for each test set."""
    for name, own in result["sets"].items():
        number = result["about"]["dialogues"][name]
        loop = ", closed loop" if result["about"]["closed_loop"] else ""
        title = f"{name}: {number} dialogues, step {result['about']['step']}{loop}"
        table = Table(title=title, box=None, pad_edge=False)
        table.title_justify = "left"
        for column in ("metric", "by audio", "95 %", "n", "by text", "reference", "paper: UltraChat", "Impatient"):
            table.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
        for metric, found in own.items():
            if metric.startswith(BY_TEXT) and metric.removeprefix(BY_TEXT) in BEHAVIOR:
                continue
            by_text = own.get(BY_TEXT + metric, {}).get("value") if metric in BEHAVIOR else None
            other = result["reference"][name].get(metric, {}).get("value")
            interval = "–".join(_shown(metric, end) for end in found["ci95"]) if found["ci95"] else ""
            paper = [_shown(metric, value) for value in PAPER.get(metric, (None, None))]
            values = [_shown(metric, found["value"]), interval, str(found["n"]), _shown(metric, by_text)]
            table.add_row(metric, *values, _shown(metric, other), *paper)
        yield table


def _shown(metric: str, value: float | None) -> str:
    if value is None:
        return "–"
    if metric.endswith(("_rate", "_share", "_tor", "_wer", "_precision", "_recall")):
        return f"{100 * value:.1f} %"
    return f"{value:.2f} s" if metric.endswith("_s") else f"{value:.2f}"
