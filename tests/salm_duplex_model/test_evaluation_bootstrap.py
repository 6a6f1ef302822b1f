"""Figures, their counts and their intervals."""

import numpy as np
import pytest

from salm_duplex_model.evaluation.bootstrap import NOTHING, figure, mean, ratio


def test_a_mean_counts_events_and_not_dialogues():
    found = mean([[1.0, 1.0, 1.0], [], [0.0]])
    assert found.value == 0.75
    assert found.n == 4


def test_nothing_to_count_is_null_and_not_zero():
    assert mean([[], []]) == NOTHING == mean([])
    assert NOTHING.as_dict() == {"value": None, "n": 0, "ci95": None}


def test_one_dialogue_has_no_interval():
    assert mean([[0.0, 1.0], []]).ci95 is None


def test_the_interval_has_the_nominal_coverage():
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        low, high = mean([[float(x)] for x in random.random(60) < 0.7]).ci95
        covered += low <= 0.7 <= high
    assert 180 <= covered <= 199


def test_events_of_one_dialogue_are_resampled_together():
    together = mean([[float(i % 2)] * 10 for i in range(20)])
    apart = mean([[float(i % 2)] for i in range(200)])
    assert together.n == apart.n == 200
    width = [high - low for low, high in (together.ci95, apart.ci95)]
    assert width[0] > 2 * width[1]


def test_figures_are_reproducible_and_identical_events_have_zero_width():
    samples = [[0.1, 0.5], [0.9], [0.3]]
    assert mean(samples) == mean(samples)
    assert mean([[1.0]] * 5).ci95 == (1.0, 1.0)


def test_a_figure_of_sums():
    sums = np.array([[3.0, 10.0], [1.0, 10.0]])
    assert figure(sums).value == pytest.approx(0.2)
    assert figure(sums, lambda s: np.exp(ratio(s))).value == pytest.approx(np.exp(0.2))
    assert figure(np.array([[2.0, 0.0]]), ratio, np.array([2.0])).value is None
