"""A timing profile: how long people wait for each other, how far they overlap, how long they pause, as quantiles.

The definitions are those of `measure.py`, where profiles come from; another definition gives other numbers.
"""

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Annotated

import yaml
from pydantic import Field, ValidationError, field_validator

from manifests.errors import RequestError
from stages.base import Settings

FOLDER = Path(__file__).parent
STEPS = 20
"""Quantiles are kept at 0, 5, … 100 %."""

Quantiles = Annotated[tuple[float, ...], Field(min_length=STEPS + 1, max_length=STEPS + 1)]
"""Seconds, at 0, 5, … 100 %."""


class Profile(Settings):
    """What a profile file holds. `gap_s` and `overlap_s` are the two halves of the floor-transfer offset."""

    about: str = Field(description="where the figures are from, and how many there are")
    merge_s: float = Field(default=0.2, ge=0, description="silences of a speaker shorter than this are no pauses")
    gap_s: Quantiles = Field(description="silence between two speakers' turns")
    overlap_s: Quantiles = Field(
        description="how long before the end of a turn the next speaker starts, where one does"
    )
    overlap_share: float = Field(ge=0, le=1, description="share of the changes of speaker that overlap")
    pause_s: Quantiles = Field(description="silence inside one speaker's turn")
    pauses_per_minute: float = Field(ge=0, description="of speech")
    contained_per_minute: float = Field(
        ge=0, description="utterances that lie wholly inside another speaker's: backchannels, and starts that fail"
    )

    @field_validator("gap_s", "overlap_s", "pause_s")
    @classmethod
    def _ascending(cls, seconds: tuple[float, ...]) -> tuple[float, ...]:
        if any(a > b for a, b in pairwise(seconds)) or seconds[0] < 0:
            raise ValueError("quantiles are to ascend from 0 s")
        return seconds

    def offset_s(self, rank: float) -> float:
        """The floor-transfer offset at a rank in [0, 1): negative where the next speaker overlaps."""
        if rank < self.overlap_share:
            return -quantile(self.overlap_s, 1 - rank / self.overlap_share)
        return quantile(self.gap_s, (rank - self.overlap_share) / (1 - self.overlap_share))


def load_profile(name: str) -> Profile:
    """A bundled profile by its name, or one's own by its file; raises `RequestError` if there is none."""
    bundled = FOLDER / f"{name}.yaml"
    path = bundled if bundled.exists() else Path(name)
    try:
        return Profile.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except FileNotFoundError:
        names = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise RequestError(
            f"There is no timing profile '{name}'; the bundled ones are paper, {names}, others are named by their file."
        ) from None
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise RequestError(f"{path} is no timing profile: {' '.join(str(error).split())[:300]}.") from None


def quantile(seconds: Sequence[float], rank: float) -> float:
    """Between two kept quantiles a straight line."""
    place = min(max(rank, 0.0), 1.0) * STEPS
    low = min(int(place), STEPS - 1)
    return seconds[low] + (place - low) * (seconds[low + 1] - seconds[low])


SPEAKER = 0.5
"""How much of a rank is the speaker's own: some answer fast all along, others take their time."""
_NORMAL = NormalDist()


def ranks(number: int, random: random.Random) -> list[float]:
    """Ranks of one speaker's draws in a dialogue, each evenly spread over [0, 1), and alike among themselves."""
    own = random.gauss(0, 1)
    rest = (1 - SPEAKER**2) ** 0.5
    return [_NORMAL.cdf(SPEAKER * own + rest * random.gauss(0, 1)) for _ in range(number)]
