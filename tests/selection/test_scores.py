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


def scored(name, members):
    return parts.part("score", name).start({})(SimpleNamespace(differences=members))


differences = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-30, 30, width=32),
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


@pytest.mark.parametrize("name", SCORES)
@given(differences)
def test_score_is_its_formula(name, members):
    expected = [direct(name, column) for column in members.T.tolist()]
    np.testing.assert_allclose(scored(name, members), expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", SCORES)
@given(differences)
def test_score_does_not_depend_on_the_order_of_a_pair(name, members):
    members = np.where(members == 0, 1e-3, members)  # a member without opinion votes for neither
    np.testing.assert_allclose(scored(name, -members), scored(name, members), atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(SCORES) - {"entropy"}))
def test_agreeing_members_leave_nothing_to_learn(name):
    members = np.tile(np.array([-40.0, -1, 0.3, 700]), (3, 1))
    np.testing.assert_allclose(scored(name, members), 0, atol=1e-15)


@pytest.mark.parametrize("name", SCORES)
def test_extreme_differences_stay_finite(name):
    assert np.isfinite(scored(name, np.array([[1e4, -1e4, 800], [-1e4, -1e4, 0]]))).all()


def test_variance_of_probabilities_orders_pairs_as_their_disagreement():
    members = np.random.default_rng(0).normal(size=(3, 200))
    variance = (1 / (1 + np.exp(-members))).var(axis=0, ddof=1)
    order = np.argsort(scored("disagreement", members))
    assert order.tolist() == np.argsort(variance).tolist()
