"""A number drawn between two bounds, as the settings of an effect name it."""

import random

from pydantic import AfterValidator, model_validator

from stages.base import Settings


class Spread(Settings):
    """Drawn uniformly between two bounds."""

    low: float
    high: float

    @model_validator(mode="after")
    def _in_order(self) -> "Spread":
        if self.low > self.high:
            raise ValueError("'low' must not be above 'high'")
        return self

    def draw(self, random: random.Random) -> float:
        """To four digits, which is what the labels say."""
        return round(random.uniform(self.low, self.high), 4)


def within(least: float, most: float) -> AfterValidator:
    """Annotates a `Spread`: where its bounds must lie."""

    def check(spread: Spread) -> Spread:
        if not (least <= spread.low and spread.high <= most):
            raise ValueError(f"'low' and 'high' must lie between {least:g} and {most:g}")
        return spread

    return AfterValidator(check)
