"""A dialogue's two channels laid out on one time axis: waveforms, turns, words, barge-ins.

`lay_out` places everything once, in pixels; `timeline_svg` draws it for the report and `timeline_figure` for a PNG.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import matplotlib
import numpy as np
from lhotse import MonoCut, SupervisionSegment
from matplotlib.figure import Figure

from manifests.frames import SOURCE_RATE, TARGET_RATE

PIXELS_PER_SECOND = 90
CHARACTER = 6.7
"""Room for one character of a label, in pixels: an 11 px monospaced font takes 6.6."""
FONT = 11
ROW, LANE, MARGIN = 14, 56, 6
"""Heights in pixels: a row of labels, a channel's lane, and what keeps labels off a lane."""
ROW_SECONDS = 20
"""A PNG breaks the time axis into rows of so many seconds."""
COLORS = {"user": "#2a78b5", "agent": "#c2571a", "event": "#b00020", "ink": "#22242a", "line": "#dcdad5"}


@dataclass(frozen=True, slots=True)
class Label:
    """Text from `x` on, on the baseline `y`; its box is `width` wide and a row high, and touches no other's."""

    x: float
    y: float
    text: str

    @property
    def width(self) -> float:
        return CHARACTER * len(self.text)


@dataclass(frozen=True, slots=True)
class Lane:
    """One channel: `turns` as (x, width, text), the lowest and highest sample of each pixel column, from −1 to 1."""

    speaker: str
    top: float
    turns: tuple[tuple[float, float, str], ...]
    words: tuple[Label, ...]
    low: np.ndarray
    high: np.ndarray

    @property
    def middle(self) -> float:
        return self.top + LANE / 2


@dataclass(frozen=True, slots=True)
class CutOff:
    """A barge-in: from the user's `onset` to the agent's `silence`, in pixels."""

    onset: float
    silence: float
    label: Label


@dataclass(frozen=True, slots=True)
class Layout:
    """A laid out dialogue, in pixels, y downwards; the time axis ends at `end`, labels may reach on to `width`."""

    end: float
    width: float
    height: float
    user: Lane
    agent: Lane
    cut_offs: tuple[CutOff, ...]

    @property
    def lanes(self) -> tuple[Lane, Lane]:
        return self.user, self.agent

    @property
    def bottom(self) -> float:
        return self.agent.top + LANE


def barge_ins(supervisions: Sequence[SupervisionSegment]) -> Iterator[tuple[SupervisionSegment, SupervisionSegment]]:
    """Each agent turn that is barged into, with the user's turn that does it."""
    turns = [s for s in supervisions if s.custom["event"] != "backchannel"]
    for before, after in itertools.pairwise(turns):
        if after.custom["event"] == "barge_in":
            yield before, after


def lay_out(cut: MonoCut) -> Layout:
    """Place a cut's channels: the user's words above the user's lane, the agent's below the agent's, barge-ins between."""
    user_words, agent_words = (place_labels(_words(cut, speaker)) for speaker in ("user", "agent"))
    events = list(barge_ins(cut.supervisions))
    told = place_labels(
        [(_x(user.start) + 4, f"barge-in, silent after {agent.end - user.start:.2f} s") for agent, user in events]
    )
    user_top = ROW * _rows(user_words) + MARGIN
    agent_top = user_top + LANE + ROW * _rows(told) + 2 * MARGIN
    bottom = agent_top + LANE
    # Baselines: user's rows stack upwards from the lane, all others downwards.
    user_labels = tuple(Label(x, user_top - MARGIN - ROW * row, text) for row, x, text in user_words)
    agent_labels = tuple(Label(x, bottom + ROW * (row + 1), text) for row, x, text in agent_words)
    event_labels = [Label(x, user_top + LANE + ROW * (row + 1), text) for row, x, text in told]
    end = _x(cut.duration)
    return Layout(
        end=end,
        width=max([end, *(label.x + label.width for label in (*user_labels, *agent_labels, *event_labels))]) + MARGIN,
        height=bottom + ROW * _rows(agent_words) + MARGIN,
        user=_lane(cut, "user", cut.load_audio()[0], SOURCE_RATE, user_top, user_labels),
        agent=_lane(cut, "agent", cut.load_target_audio()[0], TARGET_RATE, agent_top, agent_labels),
        cut_offs=tuple(
            CutOff(_x(user.start), _x(agent.end), label)
            for (agent, user), label in zip(events, event_labels, strict=True)
        ),
    )


def place_labels(labels: Sequence[tuple[float, str]]) -> list[tuple[int, float, str]]:
    """(row, x, text) for each (x, text), in order of x: each in the first row where it touches no earlier label."""
    ends: list[float] = []
    placed = []
    for x, text in labels:
        row = next((number for number, end in enumerate(ends) if end <= x), len(ends))
        ends[row : row + 1] = [x + CHARACTER * (len(text) + 0.6)]
        placed.append((row, x, text))
    return placed


def envelope(audio: np.ndarray, rate: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest sample of each pixel column."""
    columns = max(1, int(seconds * PIXELS_PER_SECOND))
    # Each column's first sample is reckoned from its own time, so that columns never drift from the labels.
    starts = np.minimum(np.arange(columns) * rate // PIXELS_PER_SECOND, len(audio) - 1)
    return np.minimum.reduceat(audio, starts), np.maximum.reduceat(audio, starts)


def _words(cut: MonoCut, speaker: str) -> list[tuple[float, str]]:
    own = [s for s in cut.supervisions if s.speaker == speaker]
    return [(_x(word.start), word.symbol) for s in own for word in (s.alignment or {}).get("word", [])]


def _rows(placed: list[tuple[int, float, str]]) -> int:
    return 1 + max((row for row, _, _ in placed), default=0)


def _lane(cut: MonoCut, speaker: str, audio: np.ndarray, rate: int, top: float, words: tuple[Label, ...]) -> Lane:
    low, high = envelope(audio, rate, cut.duration)
    loudest = max(float(-low.min()), float(high.max()), 1e-6)
    turns = tuple((_x(s.start), _x(s.duration), s.text or "") for s in cut.supervisions if s.speaker == speaker)
    return Lane(speaker, top, turns, words, low / loudest, high / loudest)


def _x(seconds: float) -> float:
    return round(seconds * PIXELS_PER_SECOND, 1)


def timeline_svg(layout: Layout) -> str:
    """The drawing as inline SVG, 90 pixels a second, colored by the page's style; the playhead is the script's to move."""
    width, height = round(layout.width), round(layout.height + ROW + MARGIN)
    parts = [f'<svg class="timeline" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" ']
    parts.append('aria-label="Both channels over time: waveforms, words, barge-ins">')
    parts += _seconds_svg(layout, height)
    for lane in layout.lanes:
        parts += _lane_svg(lane, layout.end)
    for cut_off in layout.cut_offs:
        parts += _cut_off_svg(cut_off, layout)
    parts.append(f'<line class="playhead" x1="0" x2="0" y1="0" y2="{height}"/></svg>')
    return "".join(parts)


def lane_names_svg(layout: Layout) -> str:
    """The lanes' names, to stand still beside the drawing while it scrolls."""
    height = round(layout.height + ROW + MARGIN)
    names = "".join(
        f'<text class="name {lane.speaker}" x="0" y="{lane.middle + 4:g}">{lane.speaker}</text>'
        for lane in layout.lanes
    )
    return f'<svg class="names" width="44" height="{height}" viewBox="0 0 44 {height}" aria-hidden="true">{names}</svg>'


def _lane_svg(lane: Lane, end: float) -> Iterator[str]:
    for x, width, text in lane.turns:
        yield f'<rect class="turn {lane.speaker}" x="{x:g}" y="{lane.top:g}" width="{width:g}" height="{LANE}" rx="3">'
        yield f"<title>{escape(text)}</title></rect>"
    yield f'<line class="rest" x1="0" x2="{end:g}" y1="{lane.middle:g}" y2="{lane.middle:g}"/>'
    yield f'<path class="wave {lane.speaker}" d="{_wave_path(lane)}"/>'
    for word in lane.words:
        yield _label_svg(word, "word")


def _wave_path(lane: Lane) -> str:
    """One vertical stroke for each column that sounds."""
    reach = LANE / 2 - 3
    tops, bottoms = lane.middle - lane.high * reach, lane.middle - lane.low * reach
    sounding = np.flatnonzero(bottoms - tops > 0.05)
    return "".join(f"M{x}.5 {tops[x]:.1f}V{bottoms[x]:.1f}" for x in sounding)


def _cut_off_svg(cut_off: CutOff, layout: Layout) -> Iterator[str]:
    top, bottom = layout.user.top, layout.bottom
    width = cut_off.silence - cut_off.onset
    yield f'<rect class="cut" x="{cut_off.onset:g}" y="{top:g}" width="{width:.1f}" height="{bottom - top:g}"/>'
    yield f'<line class="onset" x1="{cut_off.onset:g}" x2="{cut_off.onset:g}" y1="{top:g}" y2="{bottom:g}"/>'
    yield _label_svg(cut_off.label, "event")


def _seconds_svg(layout: Layout, height: float) -> Iterator[str]:
    for second in range(int(layout.end / PIXELS_PER_SECOND) + 1):
        x = _x(second)
        yield f'<line class="tick" x1="{x:g}" x2="{x:g}" y1="0" y2="{height}"/>'
        yield f'<text class="second" x="{x + 3:g}" y="{height - 4}">{second} s</text>'


def _label_svg(label: Label, kind: str) -> str:
    # The length is fixed, so that no font can make one label run into the next.
    return (
        f'<text class="{kind}" x="{label.x:g}" y="{label.y:g}" textLength="{label.width:.1f}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(label.text)}</text>'
    )


def timeline_figure(cut: MonoCut) -> Figure:
    """The drawing as a matplotlib figure, a row for every 20 seconds; a unit of its axes is a hundredth of an inch."""
    layout = lay_out(cut)
    rows = max(1, int(np.ceil(layout.end / (ROW_SECONDS * PIXELS_PER_SECOND))))
    left, right, top, between = 60, 130, 50, 50
    width = left + ROW_SECONDS * PIXELS_PER_SECOND + right
    height = top + rows * (layout.height + between)
    # The user's own matplotlibrc must not change the picture.
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
        # A label belongs to the row that it begins in, and may reach into the right margin.
        if first <= label.x < last:
            axes.text(
                label.x, label.y, label.text, color=color, fontsize=FONT * 0.72, family="monospace", parse_math=False
            )

    for lane in layout.lanes:
        color = COLORS[lane.speaker]
        for x, width, _ in lane.turns:
            axes.axvspan(x, x + width, *_span(lane.top, lane.top + LANE, layout), color=color, alpha=0.13, linewidth=0)
        columns = np.arange(first, min(last, len(lane.low)))
        reach = LANE / 2 - 3
        top, bottom = lane.middle - lane.high[columns] * reach, lane.middle - lane.low[columns] * reach
        axes.fill_between(columns + 0.5, top, bottom, step="mid", color=color, linewidth=0)
        for word in lane.words:
            write(word, COLORS["ink"])
    event = COLORS["event"]
    for cut_off in layout.cut_offs:
        both = _span(layout.user.top, layout.bottom, layout)
        axes.axvspan(cut_off.onset, cut_off.silence, *both, color=event, alpha=0.1, linewidth=0)
        if first <= cut_off.onset < last:
            axes.axvline(cut_off.onset, *both, color=event, linewidth=1.2)
        write(cut_off.label, event)
    # Shading beyond this row would widen it.
    axes.set_xlim(first, last)


def _span(top: float, bottom: float, layout: Layout) -> tuple[float, float]:
    """Two heights in pixels as matplotlib's shares of an axis, counted from below."""
    return 1 - bottom / layout.height, 1 - top / layout.height
