"""A plot of the trade-offs of a run's thresholds: turns taken against pauses taken over and delay, barge-ins against
false stops."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from salm_duplex_model.evaluation.plot import COLORS

PANELS = (
    ("start", "pause_take_over_rate", "turn_taken_rate"),
    ("start", "first_response_latency_s", "turn_taken_rate"),
    ("stop", "false_stop_rate", "barge_in_success_rate"),
)


def write_frontier(result: dict[str, Any], path: Path) -> None:
    """Plot the results of `salm-duplex tune`, each point with its threshold and intervals, as a PNG."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        picture = Picture(figsize=(13, 4.6), layout="constrained")
        for axes, (threshold, x, y) in zip(picture.subplots(1, len(PANELS)), PANELS, strict=True):
            _panel(axes, result, threshold, x, y)
        picture.savefig(path, dpi=110, metadata={"Software": None})


def _panel(axes: Axes, result: dict[str, Any], threshold: str, x: str, y: str) -> None:
    axes.set_title(f"by '{threshold}'", fontsize=10)
    axes.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "))
    axes.grid(color="#dcdad5", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    memories = dict.fromkeys(point["turn_taking"]["memory"] for point in result[threshold])
    drawn = False
    for color, memory in zip(COLORS, memories, strict=False):
        own = [point for point in result[threshold] if point["turn_taking"]["memory"] == memory]
        drawn |= _points(axes, own, x, y, color, f"sums, memory {memory:g}", threshold)
    drawn |= _points(axes, [result["likeliest"]], x, y, "#666b76", "most likely token", None, marker="X")
    _points(axes, [result["chosen"]], x, y, "black", "chosen", None, marker="o", markersize=13, markerfacecolor="none")
    if drawn:
        axes.legend(frameon=False, fontsize=8, loc="best")
    else:
        axes.text(0.5, 0.5, "nothing to measure\nin these dialogues", ha="center", transform=axes.transAxes)


def _points(
    axes: Axes,
    points: Sequence[dict[str, Any]],
    x: str,
    y: str,
    color: str,
    label: str,
    threshold: str | None,
    **style: Any,
) -> bool:
    """Draw the points that have both figures; returns whether there are any."""
    there = [point for point in points if point[x]["value"] is not None and point[y]["value"] is not None]
    if not there:
        return False
    xs, ys = ([point[name]["value"] for point in there] for name in (x, y))
    look: dict[str, Any] = {"marker": "o", "linewidth": 1, "markersize": 4.5} | style
    axes.plot(xs, ys, color=color, label=label, **look)
    for point in there if threshold else ():
        here = (point[x]["value"], point[y]["value"])
        if point[x]["ci95"]:
            axes.plot(point[x]["ci95"], [here[1]] * 2, color=color, linewidth=0.5, alpha=0.5)
        if point[y]["ci95"]:
            axes.plot([here[0]] * 2, point[y]["ci95"], color=color, linewidth=0.5, alpha=0.5)
        axes.annotate(f"{point['turn_taking'][threshold]:g}", here, (4, 4), textcoords="offset points", fontsize=8)
    return True
