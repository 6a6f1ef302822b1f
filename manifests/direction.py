"""What a director leaves in a dialogue's record, beside turns."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Disfluency:
    """Words of a turn that the speaker says while looking for others ("um"), or takes back ("two, no, sorry,")."""

    kind: Literal["hesitation", "self_correction"]
    first: int
    """The first of its words, counted in the turn's `spoken` from 0."""
    number: int
    """So many words."""


@dataclass(frozen=True, slots=True)
class Direction:
    """What a director made of a dialogue: `by` is a model's name, or `rules`."""

    by: str
    events: int = 0
    """So many were put in."""
    failed: str = ""
    """Why what it wrote was not used, and the dialogue left as it was: a code to count by."""
