"""A probe: how well the agent's channel predicts interruptions, compared with a probe that knows only the turn's age.

Each half of the scripts (all takes of a script in the same half) is scored by a probe trained on the other half.
Gradient-boosted trees (scikit-learn), since they take features of any scale unchanged and train on a few thousand
frames in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.audit.checks import area_under_curve
from pipeline.audit.features import AgentTurn, Moment, Rule
from salm_duplex_model.evaluation.bootstrap import NOTHING, Figure, figure
from stages.base import draw

BINS = 128
"""Number of distinct ranks in computing the area under the curve."""
LEAST = 20
"""With fewer turns of each kind in either half, there is no verdict."""
AGE = slice(0, 1)
"""The column with the turn's age."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """Areas under the ROC curve: 0.5 predicts nothing, 1 everything."""

    channel: Figure
    age: Figure
    events: int

    @property
    def leaks(self) -> bool | None:
        """Whether the channel reveals more than the age does, and more than chance; None with too little data."""
        if self.channel.value is None or self.channel.ci95 is None or self.age.ci95 is None:
            return None
        return self.channel.value > self.age.ci95[1] and self.channel.ci95[0] > 0.5


def foresight(turns: Sequence[AgentTurn], moment: Moment, seed: int = 0) -> Foresight:
    """How well the second before `moment` separates turns that are interrupted from turns that could have been."""
    rule = Rule.of(turns)
    if rule is None:
        return Foresight(NOTHING, NOTHING, 0)
    found = [(turn, window) for turn in turns if (window := turn.window(moment, rule, seed)) is not None]
    halves = np.array([draw(seed, turn.script, "audit").random() < 0.5 for turn, _ in found])
    real = np.array([turn.onset_s is not None for turn, _ in found])
    if any(np.sum((halves == half) & (real == kind)) < LEAST for half in (False, True) for kind in (False, True)):
        return Foresight(NOTHING, NOTHING, int(real.sum()))
    numbers = {id: number for number, id in enumerate(sorted({turn.script for turn, _ in found}))}
    frames = len(found[0][1])
    x = np.concatenate([window for _, window in found])
    y, half = np.repeat(real, frames), np.repeat(halves, frames)
    who = np.repeat([numbers[turn.script] for turn, _ in found], frames)
    channel, age = (_area(_foreseen(columns, y, half, seed), y, half, who) for columns in (x, x[:, AGE]))
    return Foresight(channel, age, int(real.sum()))


def _foreseen(x: np.ndarray, y: np.ndarray, half: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    scores = np.zeros(len(y))
    with threadpool_limits(1):  # its threads busy-wait for each other, which takes minutes next to another job
        for own in (False, True):
            probe = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, random_state=seed)
            probe.fit(x[half != own], y[half != own])
            scores[half == own] = probe.predict_proba(x[half == own])[:, 1]
    return scores


def _area(scores: np.ndarray, y: np.ndarray, half: np.ndarray, who: np.ndarray) -> Figure:
    """The mean of the two halves' areas, since scores of different probes are not comparable; resampled by script."""
    counts = []
    for own in (False, True):
        mine = half == own
        edges = np.unique(np.quantile(scores[mine], np.linspace(0, 1, BINS + 1)[1:-1]))
        ranks = np.searchsorted(edges, scores)
        for kind in (False, True):
            table = np.zeros((who.max() + 1, BINS))
            np.add.at(table, (who[mine & (y == kind)], ranks[mine & (y == kind)]), 1)
            counts.append(table)
    events = np.bincount(who, weights=y, minlength=who.max() + 1)
    return figure(np.concatenate(counts, axis=1), _area_of, events)


def _area_of(sums: np.ndarray) -> np.ndarray:
    return np.asarray(area_under_curve(sums.reshape(*sums.shape[:-1], 2, 2, BINS)).mean(axis=-1))
