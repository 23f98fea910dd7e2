"""Every agent learns something trivial in seconds, and what is easy in a minute."""

from typing import Any

import identity  # noqa: F401
import numpy as np
import pytest

from active_rlhf.agents import Agent, evaluate
from active_rlhf.agents.reward_scaling import RewardScale
from active_rlhf.parts import part
from active_rlhf.tasks.gym import GymTask
from active_rlhf.tasks.vector import TasksInStep

PPO = {"rollout_steps": 128, "epochs": 4, "minibatches": 4, "learning_rate": 5e-3}
A2C = {
    **{"name": "a2c", "environments": 4, "rollout_steps": 32, "learning_rate": 3e-3},
    **{"gamma": 0.5, "decay": 0.9, "entropy_coefficient": 0.0},
}
CNN = {"network": "cnn", "hidden": [32]}


def learned(name: str, total: int, given: dict[str, Any]) -> Agent:
    """An agent after `total` steps on the true reward, scaled as in a run."""
    settings = dict(given)
    kind, lanes = settings.pop("name", "ppo"), settings.get("environments", 1)
    tasks = [GymTask(name, seed) for seed in range(lanes)]
    task: Any = TasksInStep(tasks) if lanes > 1 else tasks[0]
    agent: Agent = part("agent", kind).build(settings, task, np.random.default_rng(0))
    scale = RewardScale.of(agent.discount, lanes)
    stream, size = np.random.default_rng(1), settings["rollout_steps"]
    for i in range(total // size):
        rollout = agent.act(task, size, stream)
        agent.learn(rollout, scale(rollout.rewards, rollout.ended), i * size / total, stream)
    return agent


@pytest.mark.parametrize(
    ("name", "total", "settings"),
    [
        ("Identity-v0", 2560, PPO),
        ("Identity-v0", 2560, PPO | {"hidden": [16], "activation": "relu", "environments": 4}),
        ("IdentityBox-v0", 2560, PPO),
        ("IdentityBox-v0", 2560, PPO | {"hidden": [16, 16, 16], "activation": "relu"}),
        ("IdentityPlanes-v0", 2048, PPO | CNN | {"learning_rate": 1e-3}),
        ("Identity-v0", 6400, A2C),
        ("IdentityBox-v0", 6400, A2C),
        ("Identity-v0", 6400, A2C | {"environments": 1, "hidden": [16], "gae_lambda": 0.9}),
        ("IdentityColour-v0", 6400, A2C | CNN),
    ],
)
def test_every_agent_learns_something_trivial(name, total, settings):
    """Random actions lose 0.5 a step with two actions, and about 1 with continuous ones."""
    agent, task = learned(name, total, settings), GymTask(name, 1)
    # one of two actions is right by chance, if it is always the likelier one
    stream = np.random.default_rng(2) if hasattr(task.action_space, "n") else None
    assert agent.act(task, 200, stream).rewards.mean() > -0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "total", "settings", "reached"),
    [
        (
            "CartPole-v1",
            32_000,
            {"rollout_steps": 512, "minibatches": 8, "learning_rate": 1e-3, "gamma": 0.98},
            475,
        ),
        ("CartPole-v1", 100_000, {"name": "a2c", "environments": 8, "rollout_steps": 64}, 475),
        ("Pendulum-v1", 100_000, {"learning_rate": 1e-3, "gamma": 0.9}, -300),
    ],
)
def test_what_is_easy_is_solved_in_a_minute(name, total, settings, reached):
    given = {"rollout_steps": 2048} | settings
    agent = learned(name, total, given)
    assert evaluate(agent, GymTask(name, 1000), 20).mean() > reached
