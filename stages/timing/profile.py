"""A timing profile: quantiles of how long people wait for each other, how far they overlap and how long they pause.

The definitions are those of `measure.py`, which makes profiles; other definitions give other numbers.
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
    """The content of a profile file. `gap_s` and `overlap_s` are the two halves of the floor-transfer offset."""

    about: str = Field(description="the source of the figures, and their numbers")
    merge_s: float = Field(default=0.2, ge=0, description="shorter silences of a speaker are not pauses")
    gap_s: Quantiles = Field(description="silence between two speakers' turns")
    overlap_s: Quantiles = Field(description="how long before the end of a turn the next speaker starts, in overlaps")
    overlap_share: float = Field(ge=0, le=1, description="share of the changes of speaker with an overlap")
    pause_s: Quantiles = Field(description="silence inside one speaker's turn")
    pauses_per_minute: float = Field(ge=0, description="of speech")
    contained_per_minute: float = Field(
        ge=0, description="utterances entirely inside another speaker's: backchannels and false starts"
    )

    @field_validator("gap_s", "overlap_s", "pause_s")
    @classmethod
    def _ascending(cls, seconds: tuple[float, ...]) -> tuple[float, ...]:
        if any(a > b for a, b in pairwise(seconds)) or seconds[0] < 0:
            raise ValueError("quantiles must ascend from 0 s")
        return seconds

    def offset_s(self, rank: float) -> float:
        """The floor-transfer offset at a rank in [0, 1): negative where the next speaker overlaps."""
        if rank < self.overlap_share:
            return -quantile(self.overlap_s, 1 - rank / self.overlap_share)
        return quantile(self.gap_s, (rank - self.overlap_share) / (1 - self.overlap_share))


def load_profile(name: str) -> Profile:
    """A bundled profile by name, or your own by file; raises `RequestError` if there is none."""
    bundled = FOLDER / f"{name}.yaml"
    path = bundled if bundled.exists() else Path(name)
    try:
        return Profile.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except FileNotFoundError:
        names = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise RequestError(
            f"There is no timing profile '{name}'; the bundled ones are paper, {names}; name the file of any other."
        ) from None
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise RequestError(f"{path} is not a timing profile: {' '.join(str(error).split())[:300]}.") from None


def quantile(seconds: Sequence[float], rank: float) -> float:
    """Interpolates linearly between the stored quantiles."""
    place = min(max(rank, 0.0), 1.0) * STEPS
    low = min(int(place), STEPS - 1)
    return seconds[low] + (place - low) * (seconds[low + 1] - seconds[low])


SPEAKER = 0.5
"""Weight of the speaker in a rank: some always answer fast, others take their time."""
_NORMAL = NormalDist()


def ranks(number: int, random: random.Random) -> list[float]:
    """Ranks of one speaker's draws in a dialogue, each uniform over [0, 1), and correlated with each other."""
    own = random.gauss(0, 1)
    rest = (1 - SPEAKER**2) ** 0.5
    return [_NORMAL.cdf(SPEAKER * own + rest * random.gauss(0, 1)) for _ in range(number)]
