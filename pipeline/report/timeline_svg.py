"""A dialogue's layout as inline SVG, colored by the page's style."""

from collections.abc import Iterator
from html import escape

import numpy as np

from pipeline.report.codes_image import codes_png
from pipeline.report.timeline_layout import LANE, MARGIN, PIXELS_PER_SECOND, ROW, CutOff, Label, Lane, Layout, x_of

CODE = 8
"""Height in pixels of a codebook's row."""


def timeline_svg(layout: Layout, codes: np.ndarray) -> str:
    """Inline SVG of 90 pixels per second, with the codes (frames, codebooks) below. The page's style colors it, and the
    page's script moves the playhead."""
    width, height = round(layout.width), _height(layout, codes)
    parts = [f'<svg class="timeline" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" ']
    parts.append('aria-label="Both channels over time: waveforms, words, events, codes">')
    parts += _seconds_svg(layout, height)
    for lane in layout.lanes:
        parts += _lane_svg(lane, layout.end)
    for label in layout.marks:
        parts.append(_label_svg(label, "mark"))
    # A PNG must have at least one pixel.
    if len(codes):
        parts.append(
            f'<image class="codes" href="{codes_png(codes)}" x="0" y="{layout.height:g}" width="{layout.end:g}" '
            f'height="{CODE * codes.shape[1]}" preserveAspectRatio="none"/>'
        )
    for cut_off in layout.cut_offs:
        parts += _cut_off_svg(cut_off, layout)
    parts.append(f'<line class="playhead" x1="0" x2="0" y1="0" y2="{height}"/></svg>')
    return "".join(parts)


def lane_names_svg(layout: Layout, codes: np.ndarray) -> str:
    """The lanes' names, which stay in place while the drawing scrolls."""
    height = _height(layout, codes)
    names = "".join(
        f'<text class="name {lane.speaker}" x="0" y="{lane.middle + 4:g}">{lane.speaker}</text>'
        for lane in layout.lanes
    )
    names += f'<text class="name" x="0" y="{layout.height + CODE * codes.shape[1] / 2 + 4:g}">codes</text>'
    return f'<svg class="names" width="44" height="{height}" viewBox="0 0 44 {height}" aria-hidden="true">{names}</svg>'


def _height(layout: Layout, codes: np.ndarray) -> int:
    return round(layout.height) + CODE * int(codes.shape[1]) + MARGIN + ROW + MARGIN


def _lane_svg(lane: Lane, end: float) -> Iterator[str]:
    for x, width, text in lane.turns:
        yield f'<rect class="turn {lane.speaker}" x="{x:g}" y="{lane.top:g}" width="{width:g}" height="{LANE}" rx="3">'
        yield f"<title>{escape(text)}</title></rect>"
    for x, width in lane.pauses:
        yield f'<rect class="pause" x="{x:g}" y="{lane.top + 4:g}" width="{width:g}" height="{LANE - 8}" rx="3"/>'
    yield f'<line class="rest" x1="0" x2="{end:g}" y1="{lane.middle:g}" y2="{lane.middle:g}"/>'
    yield f'<path class="wave {lane.speaker}" d="{_wave_path(lane)}"/>'
    for word in lane.words:
        yield _label_svg(word, "word")


def _wave_path(lane: Lane) -> str:
    """One vertical line per column with sound."""
    tops, bottoms = lane.strokes
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
        x = x_of(second)
        yield f'<line class="tick" x1="{x:g}" x2="{x:g}" y1="0" y2="{height}"/>'
        yield f'<text class="second" x="{x + 3:g}" y="{height - 4}">{second} s</text>'


def _label_svg(label: Label, kind: str) -> str:
    # The length is fixed, so that labels do not overlap in any font.
    return (
        f'<text class="{kind}" x="{label.x:g}" y="{label.y:g}" textLength="{label.width:.1f}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(label.text)}</text>'
    )
