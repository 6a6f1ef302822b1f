"""Histograms as inline SVG with real text, in the page's colors; the same values give the same bytes."""

import io
import re
from html import escape

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from manifests.figures import Distribution

INKS = {"#010203": "var(--ink)", "#010204": "var(--soft)", "#010205": "var(--line)"}
BARS = {"agent": "#010206", "user": "#010207", "event": "#010208"}
"""Placeholder colors for matplotlib, replaced by the page's style in light and dark mode."""
BINS = 40
UNITS = {"s": "seconds", "WER": "word error rate"}
"""Units as spelled on an axis, if different from a table."""


def histogram_svg(figure: Distribution, unit: str, values: np.ndarray, marks: tuple[float, ...]) -> str:
    """The plot of one distribution, with the recipe's values marked."""
    edges = _edges(values, unit, marks, figure.signed)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": figure.title, "font.size": 9})
        drawing = Figure(figsize=(4.4, 2.0), layout="constrained")
        axes = drawing.add_subplot()
        axes.hist(values, edges.tolist(), color=BARS[figure.whose], rwidth=0.9)
        for mark in marks:
            axes.axvline(mark, color="#010203", linewidth=1, linestyle=(0, (3, 2)))
        if marks:
            named = "recipe: " + " to ".join(f"{mark:g}" for mark in marks)
            axes.set_title(
                f"{named} {unit}" if unit in ("s", "dB") else named, fontsize=9, loc="right", color="#010203", pad=4
            )
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(UNITS.get(unit, unit), color="#010204")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.grid(axis="y", color="#010205", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, pad=7, labelcolor="#010204")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color("#010205")
        drawn = io.StringIO()
        drawing.savefig(
            drawn, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _inline(drawn.getvalue(), f"Histogram: {figure.title}, in {UNITS.get(unit, unit)}")


def _edges(values: np.ndarray, unit: str, marks: tuple[float, ...], signed: bool) -> np.ndarray:
    """The edges of the bars. The axis covers the minimum, the maximum and the marks."""
    span = [values.min(), values.max(), *marks, *([] if signed else [0.0])]
    low, high = float(min(span)), float(max(span))
    if unit == "words":
        step = max(1, int(high) // BINS)
        return np.arange(-0.5, high + step + 0.5, step)
    margin = 0.1 * (high - low) or 0.5
    return np.linspace(low - margin if signed else low, high + margin, BINS + 1)


def _inline(svg: str, name: str) -> str:
    """Matplotlib's SVG document as an element of the page, in the page's colors and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r"<svg [^>]*?viewBox=", f'<svg class="plot" role="img" aria-label="{escape(name)}" viewBox=', svg, count=1
    )
    for pattern, put in (
        (r'( version="[^"]*"| xmlns(:\w+)?="[^"]*")', ""),
        (r"<defs>\s*<style.*?</style>\s*</defs>", ""),  # it would affect the page outside the plot
        (r'<g id="[^"]*"', "<g"),  # the same ids in every plot, and nothing refers to them
        (r"<!--.*?-->\s*", ""),
        (r"font-family: [^;]*;", "font-family: inherit;"),
    ):
        svg = re.sub(pattern, put, svg, flags=re.DOTALL)
    for stand_in, color in (INKS | {hexed: f"var(--{name})" for name, hexed in BARS.items()}).items():
        svg = svg.replace(stand_in, color)
    return svg
