"""Every agent learns something trivial in seconds, and what is easy in a minute."""

from typing import Any

import identity
import numpy as np
import pytest

from active_rlhf.agents import Agent, evaluate
from active_rlhf.parts import part
from active_rlhf.tasks.gym import GymTask
from active_rlhf.tasks.vector import TasksInStep

PPO = {"rollout_steps": 128, "epochs": 4, "minibatches": 4, "learning_rate": 5e-3}
A2C = {"name": "a2c", "environments": 4, "rollout_steps": 32, "learning_rate": 5e-3}
CNN = {"network": "cnn", "hidden": [32], "learning_rate": 1e-3}


def learned(name: str, total: int, given: dict[str, Any], scale: float = 1.0) -> Agent:
    """An agent after `total` steps on the true reward, divided by `scale`."""
    settings = dict(given)
    kind, lanes = settings.pop("name", "ppo"), settings.get("environments", 1)
    tasks = [GymTask(name, seed) for seed in range(lanes)]
    task: Any = TasksInStep(tasks) if lanes > 1 else tasks[0]
    agent: Agent = part("agent", kind).build(settings, task, np.random.default_rng(0))
    stream, size = np.random.default_rng(1), settings["rollout_steps"]
    for i in range(total // size):
        rollout = agent.act(task, size, stream)
        agent.learn(rollout, rollout.rewards / scale, i * size / total, stream)
    return agent


@pytest.mark.parametrize(
    ("name", "total", "settings"),
    [
        ("Identity-v0", 2560, PPO),
        ("Identity-v0", 2560, PPO | {"hidden": [16], "activation": "relu", "environments": 4}),
        ("IdentityBox-v0", 2560, PPO),
        ("IdentityBox-v0", 2560, PPO | {"hidden": [16, 16, 16], "activation": "relu"}),
        ("IdentityPlanes-v0", 1024, PPO | CNN),
        ("Identity-v0", 6400, A2C),
        ("IdentityBox-v0", 12800, A2C),
        ("Identity-v0", 6400, A2C | {"environments": 1, "hidden": [16], "gae_lambda": 0.9}),
        *((name, 2560, A2C | CNN) for name in identity.PICTURES),
    ],
)
def test_every_agent_learns_something_trivial(name, total, settings):
    """Random actions lose 0.5 a step with two actions, and about 1 with continuous ones."""
    agent = learned(name, total, settings)
    assert evaluate(agent, GymTask(name, 1), 10).mean() > -1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "total", "settings", "scale", "reached"),
    [
        (
            "CartPole-v1",
            50_000,
            {"rollout_steps": 512, "minibatches": 8, "learning_rate": 1e-3, "gamma": 0.98},
            10,
            475,
        ),
        ("CartPole-v1", 200_000, {"name": "a2c", "environments": 8, "rollout_steps": 64}, 10, 475),
        (
            "Pendulum-v1",
            200_000,
            {"learning_rate": 1e-3, "gamma": 0.9, "rollout_steps": 2048},
            10,
            -300,
        ),
    ],
)
def test_what_is_easy_is_solved_in_a_minute(name, total, settings, scale, reached):
    given = {"rollout_steps": 2048} | settings
    agent = learned(name, total, given, scale)
    assert evaluate(agent, GymTask(name, 1000), 20).mean() > reached
