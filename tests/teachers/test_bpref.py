import numpy as np
import pytest
from answering import answer
from scipy.special import softmax
from scipy.stats import binomtest

from active_rlhf.study import known
from active_rlhf.study.settings import Choice
from active_rlhf.teachers import History, Question, build

N = 20_000
SURE = 1e-4  # p-value under which an observed rate contradicts the stated probability


def ask(rewards, seed=3, returns=(), **settings):
    rewards = np.asarray(rewards, float)
    question = Question(rewards, np.zeros((*rewards.shape, 1)))
    history = History(np.array([]), np.asarray(returns, float), 1000)
    teacher = build(Choice(name="bpref", **settings))
    return answer(teacher, question, history, np.random.default_rng(seed)).preference


def repeat(pair, n=N):
    return np.repeat(np.asarray(pair, float)[None], n, axis=0)


def rate_is(answers, probability):
    return binomtest(int(answers.sum()), len(answers), probability).pvalue > SURE


def test_without_irrationality_it_is_the_oracle_without_ties():
    rewards = np.random.default_rng(0).normal(size=(200, 2, 10))
    expected = (rewards.sum(-1)[:, 0] > rewards.sum(-1)[:, 1]).astype(float)
    np.testing.assert_array_equal(ask(rewards), expected)


def test_mistakes_come_at_their_rate_and_do_not_touch_equal_answers():
    wrong = ask(repeat([[1.0], [0.0]]), eps_mistake=0.1) == 0.0
    assert rate_is(wrong, 0.1)
    # m = 1/1000 * 20000 = 20: a gap of 1 is below eps_equal * m = 2.
    equal = ask(repeat([[1.0], [0.0]]), returns=[20_000], eps_mistake=0.1, eps_equal=0.1)
    assert np.all(equal == 0.5)


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_noise_is_a_boltzmann_choice_between_discounted_returns(beta, gamma):
    pair = np.array([[0.1, 0.4, 0.2], [0.3, 0.1, 0.1]])
    steps = pair.shape[1]
    discounted = [sum(gamma ** (steps - t) * r[t - 1] for t in range(1, steps + 1)) for r in pair]
    probability = softmax(beta * np.array(discounted))[0]
    assert rate_is(ask(repeat(pair), beta=beta, gamma=gamma) == 1.0, probability)


def test_noise_and_mistake_together():
    pair = [[0.5], [0.0]]
    p = softmax([1.0, 0.0])[0]
    answers = ask(repeat(pair), beta=2.0, eps_mistake=0.25) == 1.0
    assert rate_is(answers, 0.75 * p + 0.25 * (1 - p))


def test_huge_returns_do_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        assert np.all(ask(repeat([[1e6], [-1e6]], 10), beta=10.0) == 1.0)


def test_a_myopic_teacher_can_prefer_the_smaller_return():
    pair = [[5.0, 0.0, 0.0], [0.0, 0.0, 4.0]]
    assert ask([pair])[0] == 1.0
    assert ask([pair], gamma=0.5)[0] == 0.0


def test_skips_pairs_in_which_neither_return_reaches_the_margin():
    # H = 2, T = 1000, mean return 1000: m = 2, so the margin of eps_skip = 0.5 is 1.
    rewards = [[[0.5, 0.5], [0, 0]], [[0.6, 0.5], [0, 0]], [[0, 0], [0.5, 0.6]]]
    answers = ask(rewards, returns=[500, 1500], eps_skip=0.5)
    np.testing.assert_array_equal(answers, [np.nan, 1.0, 0.0])
    question = Question(np.array(rewards), np.zeros((3, 2, 2, 1)))
    history = History(np.array([]), np.array([500.0, 1500.0]), 1000)
    teacher = build(Choice(name="bpref", eps_skip=0.5))
    confidence = answer(teacher, question, history, np.random.default_rng(0)).confidence
    np.testing.assert_array_equal(confidence, [0.0, 1.0, 1.0])


def test_equal_compares_undiscounted_returns_strictly_below_the_margin():
    # m = 4/1000 * 250 = 1, margin 0.5: returns differ by 0.5, by 0.49, by 1.
    rewards = np.zeros((3, 2, 4))
    rewards[:, 0, 0] = [0.5, 0.49, -1.0]
    answers = ask(rewards, returns=[250], eps_equal=0.5)
    np.testing.assert_array_equal(answers, [1.0, 0.5, 0.0])
    rewards[1, 0] = [-1.0, 0.0, 0.0, 1.4]  # myopia sees a difference, the margin does not
    np.testing.assert_array_equal(ask(rewards, returns=[250], eps_equal=0.5, gamma=0.5)[1], 0.5)


@pytest.mark.parametrize("returns", [[], [-500, 100], [0.0]])
def test_margins_do_not_apply_if_the_mean_return_is_not_positive(returns):
    rewards = np.random.default_rng(1).normal(size=(100, 2, 5))
    plain = ask(rewards)
    np.testing.assert_array_equal(ask(rewards, returns=returns, eps_skip=0.5), plain)
    np.testing.assert_array_equal(ask(rewards, returns=returns, eps_equal=0.5), plain)


def test_presets_switch_on_one_irrationality_each():
    switched = {
        "mistake": ("eps_mistake", 0.1),
        "noisy": ("beta", 1.0),
        "skip": ("eps_skip", 0.1),
        "myopic": ("gamma", 0.9),
        "equal": ("eps_equal", 0.1),
    }
    for preset, (key, value) in switched.items():
        assert known.resolved("teacher", preset) == ("bpref", {key: value})
