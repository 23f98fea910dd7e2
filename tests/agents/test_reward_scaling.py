import gymnasium
import numpy as np
from gymnasium.wrappers import NormalizeReward
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from active_rlhf.agents.reward_scaling import RewardScale


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_scale_is_the_sd_of_all_discounted_returns_so_far(seed, sizes):
    g = np.random.default_rng(seed)
    scale = RewardScale(0.9)
    rewards = g.normal(3, 2, sum(sizes))
    ended = g.random(sum(sizes)) < 0.1
    begin = 0
    for size in sizes:
        part = slice(begin, begin + size)
        scaled = scale(rewards[part], ended[part])
        begin += size
        episodes = np.split(rewards[:begin], np.flatnonzero(ended[:begin]) + 1)
        returns = np.concatenate([lfilter([1], [1, -0.9], e) for e in episodes if len(e)])
        # gymnasium starts from variance 1 with a count of 1e-4
        n, k = len(returns), 1e-4
        variance = (k + returns.var() * n + returns.mean() ** 2 * k * n / (n + k)) / (n + k)
        expected = np.clip(rewards[part] / np.sqrt(variance + 1e-8), -10, 10)
        np.testing.assert_allclose(scaled, expected, rtol=1e-6)


def test_within_an_episode_it_is_gymnasiums():
    class Rewards(gymnasium.Env):
        observation_space = action_space = gymnasium.spaces.Discrete(1)

        def reset(self, **_):
            return 0, {}

        def step(self, reward):
            return 0, reward, False, False, {}

    rewards = np.random.default_rng(0).normal(1, 3, 500)
    wrapped = NormalizeReward(Rewards(), gamma=0.95)
    wrapped.reset()
    for reward in rewards:
        wrapped.step(reward)
    scale = RewardScale(0.95)
    scale(rewards, np.zeros(500, bool))
    np.testing.assert_allclose(scale.variance, wrapped.return_rms.var, rtol=1e-9)
