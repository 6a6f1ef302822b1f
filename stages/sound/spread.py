"""A number drawn between two bounds, as a setting of an effect."""

import random

from pydantic import AfterValidator, model_validator

from stages.base import Settings


class Spread(Settings):
    """A uniform distribution between two bounds."""

    low: float
    high: float

    @model_validator(mode="after")
    def _in_order(self) -> "Spread":
        if self.low > self.high:
            raise ValueError("'low' must not be above 'high'")
        return self

    def draw(self, random: random.Random) -> float:
        """Rounded to four digits, as in the labels."""
        return round(random.uniform(self.low, self.high), 4)


def within(least: float, most: float) -> AfterValidator:
    """Annotates a `Spread` with the limits of its bounds."""

    def check(spread: Spread) -> Spread:
        if not (least <= spread.low and spread.high <= most):
            raise ValueError(f"'low' and 'high' must be between {least:g} and {most:g}")
        return spread

    return AfterValidator(check)
