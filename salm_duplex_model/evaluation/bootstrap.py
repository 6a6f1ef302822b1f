"""A figure with its count and its bootstrap interval, resampling whole dialogues.

Events of one dialogue are correlated, so dialogues rather than events are resampled (a cluster bootstrap). Every
figure here is a function of sums over dialogues, which makes a draw a weighted sum. If all events agree, as with 20
successes of 20, so do all draws, and the interval has zero width: then look at the count."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DRAWS = 1_000
SEED = 0

Value = Callable[[np.ndarray], np.ndarray]
"""From sums (…, K) to figures (…,); NaN without events."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` over `n` events, None without any; `ci95` is None if fewer than two dialogues have an event."""

    value: float | None
    n: int
    ci95: tuple[float, float] | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


NOTHING = Figure(None, 0, None)


def ratio(sums: np.ndarray) -> np.ndarray:
    """Sums (…, 2) of numerators and denominators → their quotients (…,)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan)


def mean(samples: Sequence[Sequence[float]]) -> Figure:
    """The mean of samples, grouped by dialogue."""
    return figure(np.array([[sum(own), len(own)] for own in samples], dtype=np.float64).reshape(-1, 2), ratio)


def figure(sums: np.ndarray, value: Value = ratio, counts: np.ndarray | None = None) -> Figure:
    """A figure from each dialogue's sums (D, K); `counts` (D,) are its events, by default the last column of the sums."""
    counts = sums[:, -1] if counts is None else counts
    n = int(counts.sum())
    if n == 0:
        return NOTHING
    whole = float(value(sums.sum(axis=0)))
    if np.isnan(whole):
        return Figure(None, n, None)
    if np.count_nonzero(counts) < 2:
        return Figure(whole, n, None)
    # How often each dialogue is drawn, with as many draws as dialogues.
    times = np.random.default_rng(SEED).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), DRAWS)
    drawn = value(times @ sums)
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Figure(whole, n, (float(low), float(high)))
