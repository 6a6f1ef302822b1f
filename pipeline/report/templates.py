"""The page templates, shared by the report and the servers' pages."""

from pathlib import Path

import jinja2

from manifests.frames import CODEBOOKS, FRAME_SECONDS
from manifests.labels import shown
from pipeline.report.listing import CHECK, EVENTS
from pipeline.report.timeline_layout import PIXELS_PER_SECOND

REPORT = Path(__file__).parent


def templates(*folders: Path) -> jinja2.Environment:
    """The templates of this package and of further folders, with what the shared parts need."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([REPORT, *folders]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "pixels_per_second": PIXELS_PER_SECOND,
        "frame_seconds": FRAME_SECONDS,
        "codebooks": CODEBOOKS,
        "events": EVENTS,
        "checks": CHECK,
        "shown": shown,
    }
    return environment
