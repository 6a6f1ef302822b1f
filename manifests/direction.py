"""What a director records in a dialogue, besides turns."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Disfluency:
    """Hesitations ("um") and corrected words ("two, no, sorry,") of a turn."""

    kind: Literal["hesitation", "self_correction"]
    first: int
    """Index of its first word in the turn's `spoken`, from 0."""
    number: int
    """Number of words."""


@dataclass(frozen=True, slots=True)
class Direction:
    """The result of a director for a dialogue: `by` is a model's name, or `rules`."""

    by: str
    events: int = 0
    """Number of inserted events."""
    failed: str = ""
    """Why its script was not used and the dialogue left unchanged: a reason code."""
