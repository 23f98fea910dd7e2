"""A saved policy acts as the agent that saved it, in numpy alone."""

import identity
import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("pixels.w2"), "holds no pixels.w2"),
        (lambda a: a.update({"pixels.w1": a["pixels.w1"][:, :1]}), "pixels.w1 has a shape or type"),
        (lambda a: a.pop("trunk.b1"), "does not hold the arrays of a run"),
        (
            lambda a: a.update({"observations.shape": np.array([36, 36, -3])}),
            "no shape of pictures",
        ),
        (lambda a: a.update({"observations.mean": np.zeros(3)}), "does not hold the arrays of a r"),
    ],
)
def test_other_arrays_are_refused_of_pictures(change, message):
    settings = PPOSettings(network="cnn", hidden=(8,))
    task = GymTask(next(iter(identity.PICTURES)), 1)
    arrays = dict(ppo.build(settings, task, np.random.default_rng(0)).arrays())
    change(arrays)
    with pytest.raises(ValueError, match=message):
        SavedPolicy(arrays, "relu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("critic.b2"), "does not hold the arrays of a run"),
        (lambda a: a.update(more=np.zeros(1)), "does not hold the arrays of a run"),
        (lambda a: a.update({"actor.b1": np.zeros(3, np.float32)}), "actor.b1 has a shape or type"),
        (
            lambda a: a.update({"log_std": a["log_std"].astype(float)}),
            "log_std has a shape or type",
        ),
        (lambda a: a.pop("actor.w1"), "holds no actor.w1"),
    ],
)
def test_other_arrays_are_refused(change, message):
    agent = ppo.build(PPOSettings(), GymTask("Pendulum-v1", 1), np.random.default_rng(0))
    arrays = dict(agent.arrays())
    change(arrays)
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


def test_torch_agrees_on_the_networks():
    """The saved weights are [inputs, outputs], torch's the other way round."""
    agent = ppo.build(
        PPOSettings(hidden=[5, 5, 5]), GymTask("Pendulum-v1", 1), np.random.default_rng(0)
    )
    weight = dict(agent.model.named_parameters())["actor.0.weight"]
    assert torch.equal(torch.from_numpy(agent.arrays()["actor.w1"].copy()), weight.detach().T)
