import numpy as np
import pytest
from answering import answer
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.errors import InputError
from active_rlhf.parts import part
from active_rlhf.study.settings import Choice
from active_rlhf.teachers import History, Question, build

RNG = np.random.default_rng(7)


def ask(rewards, gaps=(), **settings):
    rewards = np.asarray(rewards, float)
    question = Question(rewards, np.zeros((*rewards.shape, 1)))
    history = History(np.asarray(gaps, float), np.array([]), 1000)
    teacher = build(Choice(name="oracle", **settings))
    return answer(teacher, question, history, np.random.default_rng(0))


def test_prefers_the_larger_true_return_of_the_whole_segment():
    answers = ask([[[1, 1, 1], [5, -1, -2]], [[0, 0, 1], [0.5, 0.5, 0.5]], [[1, 2, 3], [3, 2, 1]]])
    np.testing.assert_array_equal(answers.preference, [1.0, 0.0, 0.5])
    np.testing.assert_array_equal(answers.confidence, [1.0, 1.0, 1.0])


def test_a_difference_below_the_absolute_threshold_is_equal():
    rewards = [[[3.0], [0.0]], [[2.0], [0.0]], [[0.0], [1.9]], [[0.0], [2.1]]]
    answers = ask(rewards, tie_threshold=2.0)
    np.testing.assert_array_equal(answers.preference, [1.0, 1.0, 0.5, 0.0])


def test_the_quantile_is_the_share_of_ties_among_uniform_pairs():
    returns = RNG.normal(size=(4000, 2, 1))
    gaps = np.abs(returns[:, 0, 0] - returns[:, 1, 0])
    answers = ask(returns, gaps, tie_quantile=0.2)
    assert np.mean(answers.preference == 0.5) == 0.2


def test_a_quantile_of_the_sessions_own_pairs_makes_as_many_ties_in_every_session():
    for scale in (0.01, 1.0, 100.0):
        rewards = RNG.normal(size=(50, 2, 1)) * scale
        answers = ask(rewards, [1.0], tie_quantile=0.2, ties_among="session")
        assert np.mean(answers.preference == 0.5) == 0.2


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_an_answer_does_not_depend_on_which_other_pairs_were_selected(chosen, seed):
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(40, 2, 5))
    gaps = np.abs(np.diff(rng.normal(scale=2.0, size=(500, 2)))[:, 0])
    everything = ask(rewards, gaps, tie_quantile=0.3).preference
    subset = rng.permutation(40)[:chosen]
    np.testing.assert_array_equal(
        ask(rewards[subset], gaps, tie_quantile=0.3).preference, everything[subset]
    )


@pytest.mark.parametrize("settings", [{}, {"tie_quantile": 0.0}])
def test_by_default_only_equal_returns_are_equal(settings):
    returns = RNG.normal(size=(500, 2, 1))
    returns[:3, 0] = returns[:3, 1]
    ties = ask(returns, [1.0, 2.0], **settings).preference == 0.5
    np.testing.assert_array_equal(np.flatnonzero(ties), [0, 1, 2])


def test_a_quantile_and_a_threshold_exclude_each_other():
    oracle = part("teacher", "oracle")
    chosen = oracle.complete({"tie_threshold": 3})
    assert (chosen.tie_quantile, chosen.tie_threshold) == (None, 3.0)
    assert oracle.complete(chosen.model_dump()) == chosen
    with pytest.raises(InputError, match="give tie_quantile or tie_threshold, not both"):
        oracle.complete({"tie_quantile": 0.2, "tie_threshold": 3})
    with pytest.raises(InputError, match="give tie_quantile too"):
        oracle.complete({"ties_among": "session"})
