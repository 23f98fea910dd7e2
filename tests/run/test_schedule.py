from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.run.schedule import (
    first_session,
    held_out_per_session,
    queries_per_session,
    session_rollouts,
)


@st.composite
def budgets(draw):
    sessions = draw(st.integers(2, 60))
    initial = draw(st.integers(1, 200))
    later = draw(st.integers(sessions - 1, 2000))
    return initial + later, initial, sessions


@given(budgets())
def test_the_budget_is_met_exactly_and_evenly(budget):
    total, initial, sessions = budget
    queries = queries_per_session(total, initial, sessions)
    assert len(queries) == sessions
    assert sum(queries) == total
    assert queries[0] == initial
    assert min(queries) >= 1
    assert max(queries[1:]) - min(queries[1:]) <= 1


def test_the_thesis_asks_ten_a_session():
    assert queries_per_session(500, 10, 50) == [10] * 50
    assert queries_per_session(1000, 20, 50) == [20] * 50
    assert queries_per_session(7, 7, 1) == [7]


@pytest.mark.parametrize(
    "budget", [(10, 11, 2), (10, 10, 2), (10, 5, 7), (10, 5, 1), (10, 0, 2), (10, 5, 0)]
)
def test_impossible_budgets_are_refused(budget):
    with pytest.raises(ValueError, match="do not fill"):
        queries_per_session(*budget)


@given(budgets(), st.fractions(0, 1, max_denominator=100).filter(lambda share: share < 1))
def test_held_out_counts_add_up_and_never_stray_from_their_share(budget, share):
    total = budget[0]
    queries = queries_per_session(*budget)
    held_out = held_out_per_session(queries, float(share))
    assert sum(held_out) == round(float(share) * total)
    asked = held = 0
    for q, h in zip(queries, held_out, strict=True):
        assert 0 <= h <= q
        asked, held = asked + q, held + h
        assert abs(held - Fraction(round(float(share) * total), total) * asked) <= Fraction(1, 2)


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(0, 2000))
def test_sessions_are_evenly_spaced_from_the_first_one_on(rollouts, sessions, first):
    if sessions > rollouts - first:
        with pytest.raises(ValueError, match="do not fit"):
            session_rollouts(rollouts, sessions, first)
        return
    when = session_rollouts(rollouts, sessions, first)
    assert len(when) == sessions
    assert when[0] == first
    gaps = [b - a for a, b in zip(when, [*when[1:], rollouts], strict=True)]
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1


@given(st.integers(1, 2000), st.integers(0, 999))
def test_the_first_session_waits_for_its_share_of_the_rollouts(rollouts, per_mille):
    first = first_session(rollouts, per_mille / 1000)
    assert 1000 * (first + 1) >= per_mille * rollouts
    assert first == 0 or 1000 * first < per_mille * rollouts


def test_the_thesis_asks_first_when_two_percent_of_the_steps_are_done():
    assert session_rollouts(488, 50, first_session(488, 0))[0] == 0  # the first rollout's end
    when = session_rollouts(488, 50, first_session(488, 0.02))
    assert (when[0] + 1) * 2048 == 20_480
    assert when[-1] == 478
