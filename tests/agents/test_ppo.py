"""PPO's pieces against plain formulas and the eager reference."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.agents import kernels as networks
from active_rlhf.agents.policy import Policy, parameters
from active_rlhf.agents.ppo import kernels
from active_rlhf.agents.ppo import update as ppo
from active_rlhf.tasks.rollout import Actor, Rollout, collect

CONFIG = {
    "epochs": 10,
    "minibatches": 32,
    "clip": 0.2,
    "entropy_coefficient": 6e-4,
    "value_coefficient": 0.35,
    "max_grad_norm": 0.5,
    "gamma": 0.98,
    "gae_lambda": 0.9,
}


def copy(policy: Policy) -> Policy:
    shape = policy.parameters.actor.w1.shape[0], policy.parameters.log_std.size
    return Policy(parameters(policy.parameters.flat.copy(), *shape), policy.moments)


@pytest.fixture(scope="module")
def acted() -> tuple[Policy, Rollout]:
    actor = Actor("HalfCheetah-v5", 7)
    policy = Policy.initial(17, 6, np.random.default_rng(0))
    return policy, collect(actor, policy, 2048, np.random.default_rng(1))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0, 1), st.floats(0, 1))
def test_gae_is_the_discounted_sum_of_its_deltas(seed, n, gamma, lam):
    g = np.random.default_rng(seed)
    rewards = g.normal(size=n)
    values, following = g.normal(size=(2, n)).astype(np.float32)
    ended = g.random(n) < 0.3
    terminated = ended & (g.random(n) < 0.5)
    got = kernels.generalised_advantages(rewards, values, following, ended, terminated, gamma, lam)
    for t in range(n):
        total, weight = 0.0, 1.0
        for k in range(t, n):
            future = 0.0 if terminated[k] else float(following[k])
            total += weight * (rewards[k] + gamma * future - float(values[k]))
            if ended[k]:
                break
            weight *= gamma * lam
        assert got[t] == pytest.approx(total, rel=1e-5, abs=1e-5)


def test_truncation_bootstraps_from_the_final_observation(acted):
    policy, rollout = acted
    data = ppo.batch(rollout, rollout.rewards, policy, CONFIG)
    t = int(np.flatnonzero(rollout.ended)[0])
    assert t == 999
    value = networks.network(rollout.following[t : t + 1], policy.parameters.critic)[0, 0]
    expected = rollout.rewards[t] + CONFIG["gamma"] * value - data.values[t]
    assert data.advantages[t] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(data.returns, data.advantages + data.values)
    # elsewhere the next value is that of the next observation
    np.testing.assert_array_equal(rollout.following[:999], rollout.normalised[1:1000])


def test_eager_losses_are_the_published_formulas(acted):
    """Schulman et al. 2017, eq. 7 and 9, written out in numpy with hand-made old values."""
    policy, rollout = acted
    g = np.random.default_rng(5)
    n = 64
    x, actions = rollout.normalised[:n], rollout.actions[:n]
    shape = 17, 6
    old_log_p = g.normal(-8, 0.5, n).astype(np.float32)
    advantages, returns, old_values = g.normal(size=(3, n)).astype(np.float32)
    data = ppo.Batch(x, actions, old_log_p, advantages, returns, old_values)
    flat = torch.from_numpy(policy.parameters.flat)
    losses = ppo.losses_eager(flat, shape, data, CONFIG)

    def network(net):
        return np.tanh(np.tanh(x @ net.w1 + net.b1) @ net.w2 + net.b2) @ net.w3 + net.b3

    mean, sd = network(policy.parameters.actor), np.exp(policy.parameters.log_std)
    density = np.exp(-0.5 * ((actions - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    ratio = np.exp(np.log(density).sum(1) - old_log_p)
    a = (advantages - advantages.mean()) / advantages.std(ddof=1)
    surrogate = np.minimum(ratio * a, np.clip(ratio, 0.8, 1.2) * a)
    values = network(policy.parameters.critic)[:, 0]
    near = np.clip(values, old_values - 0.2, old_values + 0.2)
    value_loss = 0.5 * np.maximum((values - returns) ** 2, (near - returns) ** 2).mean()
    entropy = np.sum(0.5 * np.log(2 * np.pi * np.e * sd**2))
    assert losses["policy"].item() == pytest.approx(-surrogate.mean(), rel=1e-4)
    assert losses["value"].item() == pytest.approx(value_loss, rel=1e-4)
    total = -surrogate.mean() - 6e-4 * entropy + 0.35 * value_loss
    assert losses["total"].item() == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("change", [{}, {"clip": 0.01}, {"entropy_coefficient": 0.1}])
def test_compiled_update_equals_eager_torch(acted, change):
    policy, rollout = acted
    config = CONFIG | change
    data = ppo.batch(rollout, rollout.rewards, policy, config)
    fast, slow = copy(policy), copy(policy)
    size = policy.parameters.flat.size
    states = ppo.optimiser(size), ppo.optimiser(size)
    got = ppo.update(fast, states[0], data, config, 5e-4, np.random.default_rng(3))
    expected = ppo.update_eager(slow, states[1], data, config, 5e-4, np.random.default_rng(3))
    assert np.abs(fast.parameters.flat - policy.parameters.flat).max() > 1e-3
    # a share of samples sits on the clip boundary, where rounding decides
    tolerance = 1e-6 if not change else 2e-5
    np.testing.assert_allclose(fast.parameters.flat, slow.parameters.flat, atol=tolerance)
    assert vars(got) == pytest.approx(vars(expected), rel=1e-3, abs=1e-6)
    assert states[0].step[0] == states[1].step[0] == 320


def test_log_probabilities_equal_torch(acted):
    policy, rollout = acted
    got = policy.log_probabilities(rollout.observations[:300], rollout.actions[:300], chunk=128)
    mean = torch.from_numpy(policy.mean_action(rollout.observations[:300]))
    normal = torch.distributions.Normal(mean, torch.from_numpy(policy.parameters.log_std).exp())
    expected = normal.log_prob(torch.from_numpy(rollout.actions[:300])).sum(1)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@given(st.floats(-1e4, 1e4, width=32))
def test_tanh_is_within_rounding(x):
    values = np.full(3, x, np.float32)
    networks.tanh(values)
    assert abs(float(values[0]) - np.tanh(np.float64(np.float32(x)))) < 3e-7


def test_initial_weights_are_orthogonal():
    policy = Policy.initial(17, 6, np.random.default_rng(0))
    for network, gain in ((policy.parameters.actor, 0.01), (policy.parameters.critic, 1.0)):
        gram = network.w2.T @ network.w2
        np.testing.assert_allclose(gram, 2 * np.eye(64), atol=1e-5)
        outputs = network.w3.T @ network.w3
        np.testing.assert_allclose(outputs, gain**2 * np.eye(len(outputs)), atol=1e-5)
    assert not policy.parameters.log_std.any()
