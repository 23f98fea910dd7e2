"""Networks: pictures in any layout, and gradients of what was remembered."""

import identity
import numpy as np
import pytest
import torch

from active_rlhf.agents.a2c.settings import A2CSettings
from active_rlhf.agents.actor_critic import Convolutional, Perceptrons, actor_critic
from active_rlhf.agents.normalise import count, count_all, empty_moments
from active_rlhf.agents.pictures import picture_shape
from active_rlhf.agents.settings import NetworkSettings
from active_rlhf.compute import modules
from active_rlhf.study.loading import load_study
from active_rlhf.study.messages import ConfigError
from active_rlhf.tasks.gym import GymTask

CNN = NetworkSettings(network="cnn", hidden=(24, 16))


def made(name: str, settings: NetworkSettings) -> Convolutional | Perceptrons:
    return actor_critic(GymTask(name, 0), settings, np.random.default_rng(0))


def seen(name: str, n: int) -> np.ndarray:
    space = GymTask(name, 0).observation_space
    g = np.random.default_rng(1)
    if space.dtype == np.uint8:
        return g.integers(256, size=(n, *space.shape), dtype=np.uint8)
    return g.normal(size=(n, *space.shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, CNN) for name in identity.PICTURES),
        ("Identity-v0", NetworkSettings(hidden=(8,))),
        ("Pendulum-v1", NetworkSettings(hidden=(8,))),
    ],
)
def test_what_is_recalled_has_the_values_and_gradients_of_computing_it_again(name, settings):
    model, observations = made(name, settings), seen(name, 12)
    for part in (slice(0, 4), slice(4, 8), slice(8, 12)):
        with torch.no_grad():
            acted = model.remember(model.see(observations[part]), part, 12)
        np.testing.assert_allclose(acted, model.policy(model.see(observations[part])).detach())
    gradients = []
    for outputs, values in (model.recall(), model(model.see(observations))):
        np.testing.assert_allclose(values.detach(), model.value(model.see(observations)).detach())
        model.zero_grad()
        (outputs.sin().sum() + values.cos().sum()).backward()
        gradients.append([one.grad.clone() for one in model.parameters() if one.grad is not None])
    for mine, theirs in zip(*gradients, strict=True):
        assert theirs.abs().max() > 0
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_in_bfloat16_outputs_and_gradients_are_nearly_those_of_float32():
    """Also after the parameters were changed, by an optimiser or by loading others."""
    rounded = A2CSettings(network="cnn", hidden=(24, 16), precision="bfloat16")
    one, other = made("IdentityPlanes-v0", CNN), made("IdentityPlanes-v0", rounded)
    for seed in (7, 8):
        fresh = actor_critic(GymTask("IdentityPlanes-v0", 0), CNN, np.random.default_rng(seed))
        optimisers = [torch.optim.SGD(model.parameters(), lr=1e-3) for model in (one, other)]
        found = []
        for model, optimiser in zip((one, other), optimisers, strict=True):
            modules.load_state(model, optimiser, modules.arrays(fresh))
            observations = model.see(seen("IdentityPlanes-v0", 12))
            for _ in range(2):
                with torch.no_grad():
                    model.remember(observations, slice(0, 12), 12)
                outputs, values = model.recall()
                optimiser.zero_grad()
                (outputs.sin().mean() + values.cos().mean()).backward()
                optimiser.step()
            gradient = torch.cat([p.grad.ravel() for p in model.parameters() if p.grad is not None])
            found.append((values.detach(), gradient))
        (a, exact), (b, near) = found
        np.testing.assert_allclose(a, b, rtol=0.05, atol=0.02)
        assert torch.cosine_similarity(exact, near, dim=0) > 0.99 and not torch.equal(exact, near)


def test_channels_may_come_first_or_last():
    planes = made("IdentityPlanes-v0", CNN)
    one, last = seen("IdentityPlanes-v0", 3), seen("IdentityColour-v0", 3)
    assert planes.see(one).shape == (3, 2, 36, 36)
    colour = made("IdentityColour-v0", CNN).see(last)
    np.testing.assert_array_equal(colour, np.moveaxis(last, -1, 1))
    assert picture_shape((84, 84)) == (1, 84, 84) and picture_shape((4, 84, 84)) == (4, 84, 84)


def test_the_network_is_that_of_mnih():
    """Its parameters are 1,686,693 for 84 x 84 x 4 pixels and 4 actions."""
    space = type("Space", (), {"n": 4})()
    settings = NetworkSettings(network="cnn")
    assert (settings.hidden, settings.activation) == ((512,), "relu")
    model = Convolutional((4, 84, 84), space, settings, np.random.default_rng(0))
    size = sum(one.numel() for one in model.parameters())
    assert size == 1_684_128 + 4 * 513 + 513
    for one in (*model.convolutions, *model.dense):
        rows = one.weight.detach().flatten(1)
        gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
        np.testing.assert_allclose(gram, 2 * np.eye(len(gram)), atol=1e-4)


def test_many_pictures_are_evaluated_in_parts():
    model, observations = made("IdentityGray-v0", CNN), seen("IdentityGray-v0", 600)
    actions = np.random.default_rng(2).integers(2, size=600)
    found = model.log_probabilities(observations, actions)
    with torch.no_grad():
        outputs = model.policy(model.see(observations))
    expected = model.distribution(outputs).log_prob(torch.from_numpy(actions))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(model.greedy(observations), outputs.argmax(-1))


def test_moments_of_many_at_once_are_those_of_one_by_one():
    rows = np.random.default_rng(0).normal(3, 2, (50, 3))
    one, many, single = (empty_moments(3) for _ in range(3))
    for row in rows:
        count(one, row)
        count_all(single, row[None])
    for part in (rows[:16], rows[16:32], rows[32:]):
        count_all(many, part)
    for a, b, c in zip(one, many, single, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
        np.testing.assert_array_equal(a, c)


def test_a_network_that_cannot_see_what_there_is_is_refused():
    with pytest.raises(ValueError, match="IdentityTiny-v0: cnn needs at least 36 x 36 pixels, not"):
        made("IdentityTiny-v0", CNN)


@pytest.mark.parametrize(
    ("environment", "agent", "said"),
    [
        ("IdentityGray-v0", {}, r"agent.network: mlp cannot see pictures (36, 36); use cnn"),
        ("IdentityTiny-v0", {"network": "cnn"}, "agent.network: cnn needs at least 36 x 36 pixels"),
        ("Identity-v0", {"network": "cnn"}, "agent.network: cnn needs pictures (uint8, height x w"),
        ("CartPoleStandard-v0", {"network": "cnn"}, "agent.network: cnn needs pictures, not num"),
        ("CartPoleStandard-v0", {"environments": 7}, "agent.environments: 7 does not divide rollo"),
        ("CartPoleStandard-v0", {}, "labels.segment_length: 50 must be less than the 10 steps"),
        ("Taxi-v4", {}, "needs a Box observation space, not Discrete"),
        ("IdentityBoth-v0", {}, "needs a flat Box or a Discrete action space, not MultiDiscrete"),
    ],
)
def test_what_cannot_work_is_refused_before_training(environment, agent, said):
    study = {"study": "s", "seeds": [1], "environments": [environment], "selectors": ["random"]}
    study |= {"agent": {"name": "a2c"} | agent, "total_steps": 8000}
    with pytest.raises(ConfigError) as refused:
        load_study("s.yaml", data=study)
    assert said in str(refused.value) and "\n" not in str(refused.value)
