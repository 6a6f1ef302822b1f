"""A dialogue's layout as a matplotlib figure, with a row for every 20 seconds."""

import matplotlib
import numpy as np
from lhotse import MonoCut
from matplotlib.figure import Figure

from pipeline.report.timeline_layout import LANE, PIXELS_PER_SECOND, Label, Layout, lay_out

ROW_SECONDS = 20
"""Duration of a row of the PNG."""
FONT = 7.92
"""In points."""
COLORS = {"user": "#2a78b5", "agent": "#c2571a", "event": "#b00020", "ink": "#22242a", "line": "#dcdad5"}


def timeline_figure(cut: MonoCut) -> Figure:
    """The figure of a cut; a unit of its axes is a hundredth of an inch."""
    layout = lay_out(cut)
    rows = max(1, int(np.ceil(layout.end / (ROW_SECONDS * PIXELS_PER_SECOND))))
    left, right, top, between = 60, 130, 50, 50
    width = left + ROW_SECONDS * PIXELS_PER_SECOND + right
    height = top + rows * (layout.height + between)
    # A matplotlibrc file must not change the figure.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = Figure(figsize=(width / 100, height / 100))
        figure.text(left / width, 1 - 26 / height, f"{cut.id}  ·  {cut.duration:.2f} s", fontsize=12, parse_math=False)
        for row in range(rows):
            y = height - top - row * (layout.height + between) - layout.height
            bounds = (left / width, y / height, ROW_SECONDS * PIXELS_PER_SECOND / width, layout.height / height)
            _draw_row(figure, bounds, layout, row)
    return figure


def _draw_row(figure: Figure, bounds: tuple[float, float, float, float], layout: Layout, row: int) -> None:
    first, last = (number * ROW_SECONDS * PIXELS_PER_SECOND for number in (row, row + 1))
    axes = figure.add_axes(bounds, xlim=(first, last), ylim=(layout.height, 0))
    seconds = range(row * ROW_SECONDS, (row + 1) * ROW_SECONDS + 1)
    axes.set_xticks([second * PIXELS_PER_SECOND for second in seconds], [f"{second} s" for second in seconds])
    axes.set_yticks([lane.middle for lane in layout.lanes], [lane.speaker for lane in layout.lanes])
    axes.grid(axis="x", color=COLORS["line"], linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8, labelcolor="#666b76")
    axes.spines[:].set_visible(False)
    for tick, lane in zip(axes.get_yticklabels(), layout.lanes, strict=True):
        tick.set(color=COLORS[lane.speaker], fontsize=10)

    def write(label: Label, color: str) -> None:
        # A label belongs to the row in which it starts, and may extend into the right margin.
        if first <= label.x < last:
            axes.text(label.x, label.y, label.text, color=color, fontsize=FONT, family="monospace", parse_math=False)

    for lane in layout.lanes:
        color = COLORS[lane.speaker]
        for x, width, _ in lane.turns:
            axes.axvspan(x, x + width, *_span(lane.top, lane.top + LANE, layout), color=color, alpha=0.13, linewidth=0)
        columns = np.arange(first, min(last, len(lane.low)))
        tops, bottoms = lane.strokes
        axes.fill_between(columns + 0.5, tops[columns], bottoms[columns], step="mid", color=color, linewidth=0)
        for word in lane.words:
            write(word, COLORS["ink"])
    for mark in layout.marks:
        write(mark, "#666b76")
    event = COLORS["event"]
    for cut_off in layout.cut_offs:
        both = _span(layout.user.top, layout.bottom, layout)
        axes.axvspan(cut_off.onset, cut_off.silence, *both, color=event, alpha=0.1, linewidth=0)
        if first <= cut_off.onset < last:
            axes.axvline(cut_off.onset, *both, color=event, linewidth=1.2)
        write(cut_off.label, event)
    # Shading beyond this row has widened it.
    axes.set_xlim(first, last)


def _span(top: float, bottom: float, layout: Layout) -> tuple[float, float]:
    """Two heights in pixels as fractions of the axis, from the bottom, as matplotlib expects them."""
    return 1 - bottom / layout.height, 1 - top / layout.height
