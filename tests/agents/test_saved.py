"""A saved policy acts as the agent that saved it, in numpy alone."""

import identity  # noqa: F401
import numpy as np
import pytest

from active_rlhf.agents import ppo
from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.agents.saved import SavedPolicy
from active_rlhf.parts import part
from active_rlhf.tasks.gym import GymTask

KINDS = [
    ("IdentityPlanes-v0", {"network": "cnn", "hidden": [8, 6]}),
    ("IdentityColour-v0", {"network": "cnn", "hidden": [8]}),
    ("IdentityGray-v0", {"network": "cnn", "hidden": [8]}),
    ("HalfCheetah-v5", {}),
    ("Pendulum-v1", {"hidden": [8]}),
    ("Pendulum-v1", {"hidden": [8, 6, 4], "activation": "relu"}),
    ("CartPole-v1", {}),
]


@pytest.fixture(params=KINDS, ids=str)
def acted(request):
    """An agent that has learned a little, its task, and its observations."""
    name, settings = request.param
    task, stream = GymTask(name, 1), np.random.default_rng(2)
    given = PPOSettings(**settings, rollout_steps=64, epochs=4, minibatches=4, learning_rate=0.3)
    agent = ppo.build(given, task, stream)
    rollout = agent.act(task, 64, stream)
    agent.learn(rollout, rollout.rewards, 0.0, stream)
    return agent, task, rollout.observations, given.activation


def test_it_acts_as_the_agent_does_within_the_bounds(acted):
    agent, task, observations, activation = acted
    saved = SavedPolicy({k: v.copy() for k, v in agent.arrays().items()}, activation)
    wanted = task.executed(agent.greedy(observations))
    np.testing.assert_allclose(saved.mean_action(observations), wanted, atol=1e-4)
    if task.name == "HalfCheetah-v5":  # so far from its start that bounds matter
        assert np.abs(agent.greedy(observations)).max() > 1


def test_one_observation_gives_the_same_as_many(acted):
    agent, task, observations, activation = acted
    if task.name.startswith("Identity"):
        observations = observations[:6]  # pictures come in one list
        saved = SavedPolicy(agent.arrays(), activation)
        many = saved.mean_action(observations)
        one_by_one = [saved.mean_action(observations[i : i + 1])[0] for i in range(6)]
        np.testing.assert_array_equal(many, one_by_one)
        return
    saved = SavedPolicy(agent.arrays(), activation)
    many = saved.mean_action(observations[:6])
    for one, action in zip(observations[:6], many, strict=True):
        np.testing.assert_allclose(saved.mean_action(one), action, rtol=1e-5, atol=1e-6)
    shaped = saved.mean_action(observations[:6].reshape(2, 3, -1))
    np.testing.assert_allclose(shaped.reshape(many.shape), many, rtol=1e-5, atol=1e-6)


NOT_OF_A_RUN = "does not hold the arrays of a run"
PENDULUM, PICTURES = ("Pendulum-v1", {}), ("IdentityPlanes-v0", {"network": "cnn", "hidden": [8]})


@pytest.mark.parametrize(
    ("kind", "name", "change", "message"),
    [
        (PICTURES, "pixels.w2", None, "holds no pixels.w2"),
        (PICTURES, "pixels.w1", lambda a: a[:, :1], "pixels.w1 has a shape or type"),
        (PICTURES, "trunk.b1", None, NOT_OF_A_RUN),
        (PICTURES, "observations.shape", lambda a: np.array([36, 36, -3]), "no shape of pictures"),
        (PICTURES, "observations.mean", lambda a: np.zeros(3), NOT_OF_A_RUN),
        (PENDULUM, "critic.b2", None, NOT_OF_A_RUN),
        (PENDULUM, "more", lambda a: np.zeros(1), NOT_OF_A_RUN),
        (PENDULUM, "actor.b1", lambda a: a[:3], "actor.b1 has a shape or type"),
        (PENDULUM, "log_std", lambda a: a.astype(float), "log_std has a shape or type"),
        (PENDULUM, "actor.w1", None, "holds no actor.w1"),
    ],
)
def test_other_arrays_are_refused(kind, name, change, message):
    environment, settings = kind
    agent = ppo.build(PPOSettings(**settings), GymTask(environment, 1), np.random.default_rng(0))
    arrays = dict(agent.arrays())
    former = arrays.pop(name, None)
    if change:
        arrays[name] = change(former)
    with pytest.raises(ValueError, match=message):
        SavedPolicy(arrays)


TAKEN_OVER = [
    ("ppo", "HalfCheetah-v5", {}),
    ("ppo", "Pendulum-v1", {"hidden": [8]}),
    ("a2c", "CartPole-v1", {}),
    ("a2c", "IdentityPlanes-v0", {"network": "cnn"}),
]


@pytest.mark.parametrize(("name", "environment", "settings"), TAKEN_OVER)
def test_an_agent_takes_over_the_policy_of_another(name, environment, settings):
    """As runs do that start from a finished one."""
    task = GymTask(environment, 1)
    one, other = (
        part("agent", name).build(settings, task, np.random.default_rng(seed)) for seed in (0, 1)
    )
    rollout = one.act(task, 64, np.random.default_rng(2))
    seen, acted = rollout.observations, rollout.actions
    assert (one.log_probabilities(seen, acted) != other.log_probabilities(seen, acted)).any()
    saved = {key: array.copy() for key, array in one.arrays().items()}
    for key, array in other.arrays().items():
        array[...] = saved[key]
    for agent in (one, other):
        assert all(np.array_equal(array, saved[key]) for key, array in agent.arrays().items())
    found = (agent.log_probabilities(seen, acted) for agent in (one, other))
    np.testing.assert_array_equal(*found)
