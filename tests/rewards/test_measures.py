"""Measures of predictions against their formulas."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from active_rlhf.rewards.measures import (
    accuracy,
    calibration_error,
    cross_entropy,
    first_preferred,
    rank_correlation,
)


def test_accuracy_and_cross_entropy():
    p, answer = np.array([0.9, 0.4, 0.2]), np.array([1.0, 1.0, 0.5])
    assert accuracy(p, answer) == 0.5
    assert np.isnan(accuracy(p[2:], answer[2:]))
    expected = -(np.log(0.9) + np.log(0.4) + 0.5 * np.log(0.2) + 0.5 * np.log(0.8)) / 3
    assert cross_entropy(p, answer) == pytest.approx(expected)
    assert np.isnan(cross_entropy(p[:0], answer[:0]))


def test_the_larger_return_is_preferred_more_surely_for_larger_gaps():
    rewards = np.array([[[[1, 2], [3, 0.5]], [[0, 0], [2, 2]]]], np.float32)
    p = first_preferred(rewards)
    np.testing.assert_allclose(p, [[1 / (1 + np.exp(0.5)), 1 / (1 + np.exp(4))]])
    np.testing.assert_allclose(first_preferred(rewards[:, :, ::-1]), 1 - p)
    np.testing.assert_allclose(first_preferred(1e4 * rewards), 0, atol=1e-200)


def test_measures_are_those_of_scikit_learn_and_scipy():
    generator = np.random.default_rng(0)
    p, answer = generator.random(200), generator.integers(2, size=200).astype(float)
    assert accuracy(p, answer) == pytest.approx(metrics.accuracy_score(answer, p > 0.5))
    assert cross_entropy(p, answer) == pytest.approx(metrics.log_loss(answer, p))
    x = generator.normal(size=200)
    for y in (x + generator.normal(size=200), x.round()):  # without ties, and with
        assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert rank_correlation(x, -np.exp(x)) == pytest.approx(-1)
    assert np.isnan(rank_correlation(x, np.ones(200)))


def test_calibration_error_by_hand():
    """Confidences .9, .9, .9, .6, .6 of which right, wrong, right, wrong, right."""
    p = np.array([0.9, 0.1, 0.1, 0.6, 0.4, 0.99])
    answer = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.5])  # the last is tied, and does not count
    expected = 3 / 5 * abs(0.9 - 2 / 3) + 2 / 5 * abs(0.6 - 1 / 2)
    assert calibration_error(p, answer, bins=5) == pytest.approx(expected)
    assert calibration_error(1 - p, 1 - answer, bins=5) == pytest.approx(expected)
    assert calibration_error(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == 0
    assert np.isnan(calibration_error(p[-1:], answer[-1:]))


def test_predictions_drawn_from_their_own_probabilities_are_calibrated():
    generator = np.random.default_rng(0)
    p = generator.random(100_000)
    answer = (generator.random(100_000) < p).astype(float)
    assert calibration_error(p, answer) < 0.01 < calibration_error(p**3, answer)
