import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from scipy import stats

from active_rlhf.agents.uniform import Uniform
from active_rlhf.tasks.gym import GymTask


class Half(gymnasium.Env):
    """Limits one of its two actions."""

    observation_space = Box(-1, 1, (1,))
    action_space = Box(np.array([-2, -np.inf]), np.array([3, np.inf]), dtype=np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 0.0, False, False, {}


gymnasium.register("HalfLimited-v0", Half, max_episode_steps=100)


def start(name: str) -> tuple[GymTask, Uniform]:
    task = GymTask(name, 1)
    return task, Uniform(task, np.random.default_rng(2))


@pytest.mark.parametrize("explores", [True, False])
def test_actions_fill_the_box_evenly_whether_exploring_or_evaluated(explores):
    task, agent = start("Pendulum-v1")
    rollout = agent.act(task, 4000, np.random.default_rng(3) if explores else None)
    assert stats.kstest(rollout.actions[:, 0], stats.uniform(-2, 4).cdf).pvalue > 0.001
    task, agent = start("CartPole-v1")
    rollout = agent.act(task, 4000, np.random.default_rng(3) if explores else None)
    assert stats.binomtest(int(rollout.actions.sum()), 4000).pvalue > 0.001


def test_actions_without_bounds_are_normal():
    task, agent = start("HalfLimited-v0")
    actions = agent.act(task, 4000, np.random.default_rng(3)).actions
    assert stats.kstest(actions[:, 0], stats.uniform(-2, 5).cdf).pvalue > 0.001
    assert stats.kstest(actions[:, 1], stats.norm.cdf).pvalue > 0.001


def test_log_probabilities_are_those_of_the_uniform_density():
    task, agent = start("Pendulum-v1")
    rollout = agent.act(task, 5, np.random.default_rng(3))
    given = agent.log_probabilities(rollout.observations, rollout.actions)
    np.testing.assert_allclose(given, stats.uniform(-2, 4).logpdf(rollout.actions[:, 0]))
