"""Scores against their formulas, written out pair by pair."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from active_rlhf import parts

SCORES = parts.known("score")


SEED = 3
OF_RETURNS = {"delta_ucb", "thompson_gap"}  # they look for large gaps, not for disagreement
DOUBTS = sorted(set(SCORES) - OF_RETURNS)


def scored(name, returns, ids=None, **settings):
    """The scores of pairs with the members' returns [E, m, 2], or the differences of these."""
    if returns.ndim == 2:
        returns = np.stack([returns, np.zeros_like(returns)], axis=-1)
    ids = np.arange(2 * returns.shape[1]).reshape(-1, 2) if ids is None else ids
    pairs = SimpleNamespace(returns=returns, ids=ids, generator=np.random.default_rng(SEED))
    pairs.differences = returns[..., 0] - returns[..., 1]
    return parts.part("score", name).start(settings)(pairs)


numbers = st.floats(-30, 30, width=32)
differences = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=numbers)
both_returns = arrays(
    np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6), st.just(2)), elements=numbers
)


def direct(name, members):
    """The score of one pair from its members' return differences."""
    theta = [1 / (1 + math.exp(-d)) for d in members]
    n = len(members)
    entropies = [stats.entropy([p, 1 - p]) for p in theta]
    mean = sum(theta) / n
    if name == "range":
        return max(theta) - min(theta)
    if name == "disagreement":
        return math.sqrt(sum((p - mean) ** 2 for p in theta) / n)
    if name == "entropy":
        return sum(entropies) / n
    if name == "bald":
        return stats.entropy([mean, 1 - mean]) - sum(entropies) / n
    if name == "return_variance":
        return sum((d - sum(members) / n) ** 2 for d in members) / n
    share = sum(d > 0 for d in members) / n
    return share * (1 - share)


@pytest.mark.parametrize("name", DOUBTS)
@given(differences)
def test_score_is_its_formula(name, members):
    expected = [direct(name, column) for column in members.T.tolist()]
    np.testing.assert_allclose(scored(name, members), expected, rtol=1e-7, atol=1e-12)


@given(both_returns, st.floats(0, 3))
def test_delta_ucb_is_the_best_upper_bound_against_the_lowest_lower_one(returns, beta):
    expected = []
    for pair in np.moveaxis(returns, 1, 0):
        mean, sd = pair.mean(0), pair.std(0)
        bounds = [(m + beta * s, m - beta * s) for m, s in zip(mean, sd, strict=True)]
        expected.append(max(bounds[0][0] - bounds[1][1], bounds[1][0] - bounds[0][1]))
    found = scored("delta_ucb", returns, beta=beta)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@given(both_returns, st.floats(0, 3), st.integers(0, 99))
def test_thompson_gap_is_that_of_one_sample_against_another(returns, beta, seed):
    """Segments may be in several pairs, and have one return in each sample."""
    ids = np.random.default_rng(seed).integers(5, size=returns.shape[1:])
    z = np.random.default_rng(SEED).uniform(-1, 1, (2, len(np.unique(ids))))
    place = {segment: k for k, segment in enumerate(sorted(np.unique(ids).tolist()))}
    expected = []
    for pair, names in zip(np.moveaxis(returns, 1, 0), ids.tolist(), strict=True):
        first, second = (
            [pair[:, i].mean() + beta * z[s, place[names[i]]] * pair[:, i].std() for i in (0, 1)]
            for s in (0, 1)
        )
        expected.append(max(first[0] - second[1], first[1] - second[0]))
    found = scored("thompson_gap", returns, ids, beta=beta)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_extreme_differences_stay_finite(name):
    assert np.isfinite(scored(name, np.array([[1e4, -1e4, 800], [-1e4, -1e4, 0]]))).all()
