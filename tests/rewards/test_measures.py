"""Measures of predictions against their formulas."""

import numpy as np
import pytest

from active_rlhf.rewards.measures import accuracy, correlation, cross_entropy, first_preferred


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


def test_correlation_is_of_both_varying():
    g = np.random.default_rng(0)
    x, y = g.normal(size=(2, 30))
    z = [(v - v.mean()) / v.std() for v in (x, y)]
    assert correlation(x, y) == pytest.approx((z[0] * z[1]).mean())
    assert correlation(x, 3 - 2 * x) == pytest.approx(-1)
    assert np.isnan(correlation(x, np.ones(30)))
