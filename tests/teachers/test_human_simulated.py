import numpy as np
import pytest
from answering import answer
from scipy.stats import binomtest, norm

from active_rlhf.study.settings import Choice
from active_rlhf.teachers import History, Question, build
from active_rlhf.teachers.human_simulated import criteria

GAPS = History(np.array([1.0, 3.0]), np.array([]), 1000)  # mean difference: 2


def ask(rewards, actions=None, weights=(1.0, 0.0, 0.0), noise=0.0, bias=0.0):
    rewards = np.asarray(rewards, float)
    actions = np.zeros((*rewards.shape, 1)) if actions is None else np.asarray(actions, float)
    names = ("return", "length", "smoothness")
    given = dict(zip(names, weights, strict=True))
    teacher = build(Choice(name="human_simulated", weights=given, noise=noise, bias=bias))
    return answer(teacher, Question(rewards, actions), GAPS, np.random.default_rng(5))


def test_criteria_are_return_in_usual_gaps_share_of_steps_and_minus_squared_jerk():
    rewards = np.array([[[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, np.nan, np.nan]]])
    actions = np.array([[[[0.0], [1.0], [1.0], [4.0]], [[0.0], [2.0], [9.0], [-9.0]]]])
    found = criteria(Question(rewards, actions), GAPS)
    np.testing.assert_allclose(found["return"], [[10 / 2, 2 / 2]])
    np.testing.assert_allclose(found["length"], [[1.0, 0.5]])
    np.testing.assert_allclose(found["smoothness"], [[-(1 + 0 + 9) / 3, -4.0]])


def test_of_discrete_actions_another_one_is_a_change():
    actions = np.array([[[0, 1, 1, 3], [2, 2, 2, 2]]])
    found = criteria(Question(np.ones((1, 2, 4)), actions), GAPS)
    np.testing.assert_allclose(found["smoothness"], [[-2 / 3, 0.0]])


def test_each_criterion_decides_when_it_alone_counts():
    rewards = [[[1.0, 1.0, 1.0], [5.0, 0.0, np.nan]]]
    actions = [[[[0.0], [3.0], [0.0]], [[1.0], [1.0], [0.0]]]]
    assert ask(rewards, actions, (1, 0, 0)).preference[0] == 0.0
    assert ask(rewards, actions, (0, 1, 0)).preference[0] == 1.0
    assert ask(rewards, actions, (0, 0, 1)).preference[0] == 0.0
    assert ask(rewards, actions, (0, 0, -1)).preference[0] == 1.0


@pytest.mark.parametrize(("noise", "bias"), [(0.5, 0.0), (1.0, 0.4), (2.0, -0.3)])
def test_the_first_is_preferred_at_the_normal_rate(noise, bias):
    n = 20_000
    rewards = np.repeat([[[1.0], [0.0]]], n, axis=0)  # a difference of 1/2 usual gap
    answers = ask(rewards, noise=noise, bias=bias)
    expected = norm.cdf((0.5 + bias) / noise)
    assert binomtest(int((answers.preference == 1).sum()), n, expected).pvalue > 1e-4


def test_confidence_is_how_far_the_sign_can_be_trusted():
    rewards = np.random.default_rng(2).normal(size=(500, 2, 4))
    answers = ask(rewards, noise=0.7)
    noise = 0.7 * np.random.default_rng(5).standard_normal(500)
    perceived = (rewards.sum(-1)[:, 0] - rewards.sum(-1)[:, 1]) / 2 + noise
    np.testing.assert_allclose(answers.confidence, 2 * norm.cdf(np.abs(perceived) / 0.7) - 1)
    np.testing.assert_array_equal(answers.preference, perceived > 0)


def test_without_noise_it_is_sure_or_indifferent():
    answers = ask([[[1.0], [0.0]], [[1.0], [1.0]]])
    np.testing.assert_array_equal(answers.preference, [1.0, 0.5])
    np.testing.assert_array_equal(answers.confidence, [1.0, 0.0])
