"""PPO: its pieces against plain formulas, and the compiled path against the torch one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.agents import advantages, ppo
from active_rlhf.agents import kernels as networks
from active_rlhf.agents.networks import outputs
from active_rlhf.agents.ppo import agent, kernels, update
from active_rlhf.agents.ppo.agent import CompiledPPO
from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.agents.ppo.update import TorchPPO
from active_rlhf.tasks.gym import GymTask

SETTINGS = PPOSettings(
    clip=0.2, entropy_coefficient=6e-4, value_coefficient=0.35, gamma=0.98, gae_lambda=0.9
)


def compiled(name: str = "HalfCheetah-v5", settings: PPOSettings = SETTINGS) -> CompiledPPO:
    return CompiledPPO(GymTask(name, 7), settings, np.random.default_rng(0))


@pytest.fixture(scope="module")
def acted():
    """An agent, and its first rollout in HalfCheetah."""
    one = compiled()
    return one, one.act(GymTask("HalfCheetah-v5", 7), 2048, np.random.default_rng(1))


@pytest.mark.parametrize("truncation", ["bootstrap", "terminal"])
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0, 1), st.floats(0, 1))
def test_gae_is_the_discounted_sum_of_its_deltas(truncation, seed, n, gamma, lam):
    g = np.random.default_rng(seed)
    rewards = g.normal(size=n)
    values, following = g.normal(size=(2, n)).astype(np.float32)
    ended = g.random(n) < 0.3
    terminated = ended & (g.random(n) < 0.5)
    last = advantages.without_future(ended, terminated, truncation)
    data = rewards, values, following, ended, last, gamma, lam
    for got in (one.generalised_advantages(*data) for one in (kernels, advantages)):
        for t in range(n):
            total, weight = 0.0, 1.0
            for k in range(t, n):
                over = terminated[k] or (truncation == "terminal" and ended[k])
                future = 0.0 if over else float(following[k])
                total += weight * (rewards[k] + gamma * future - float(values[k]))
                if ended[k]:
                    break
                weight *= gamma * lam
            assert got[t] == pytest.approx(total, rel=1e-5, abs=1e-5)


def test_truncation_bootstraps_from_the_final_observation(acted):
    one, rollout = acted
    data = agent.batch(rollout, rollout.rewards, one.policy, SETTINGS)
    t = int(np.flatnonzero(rollout.ended)[0])
    assert t == 999
    value = networks.network(rollout.following[t : t + 1], one.policy.parameters.critic)[0, 0]
    expected = rollout.rewards[t] + SETTINGS.gamma * value - data.values[t]
    assert data.advantages[t] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(data.returns, data.advantages + data.values)
    terminal = SETTINGS.model_copy(update={"truncation": "terminal"})
    cut = agent.batch(rollout, rollout.rewards, one.policy, terminal).advantages
    assert cut[t] == pytest.approx(rollout.rewards[t] - data.values[t], rel=1e-5)
    np.testing.assert_array_equal(cut[2000:], data.advantages[2000:])  # no end follows
    # elsewhere the next value is the next observation's
    np.testing.assert_array_equal(rollout.following[:999], rollout.normalised[1:1000])


def test_losses_are_the_published_formulas(acted):
    """Schulman et al. 2017, eq. 7 and 9, written out in numpy with hand-made old values."""
    one, rollout = acted
    g = np.random.default_rng(5)
    n = 64
    x, actions = rollout.normalised[:n], rollout.actions[:n]
    old_log_p = g.normal(-8, 0.5, n).astype(np.float32)
    gained, returns, old_values = g.normal(size=(3, n)).astype(np.float32)
    slow = TorchPPO(GymTask("HalfCheetah-v5", 7), SETTINGS, np.random.default_rng(0))
    numbers = (x, actions, old_log_p, gained, returns, old_values)
    data = agent.Batch(*map(torch.from_numpy, numbers))
    losses = update.losses(slow.model, data, SETTINGS)

    def network(net):
        return np.tanh(np.tanh(x @ net.w1 + net.b1) @ net.w2 + net.b2) @ net.w3 + net.b3

    parameters = one.policy.parameters
    mean, sd = network(parameters.actor), np.exp(parameters.log_std)
    density = np.exp(-0.5 * ((actions - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    ratio = np.exp(np.log(density).sum(1) - old_log_p)
    a = (gained - gained.mean()) / gained.std(ddof=1)
    surrogate = np.minimum(ratio * a, np.clip(ratio, 0.8, 1.2) * a)
    values = network(parameters.critic)[:, 0]
    near = np.clip(values, old_values - 0.2, old_values + 0.2)
    value_loss = 0.5 * np.maximum((values - returns) ** 2, (near - returns) ** 2).mean()
    entropy = np.sum(0.5 * np.log(2 * np.pi * np.e * sd**2))
    assert losses["policy"].item() == pytest.approx(-surrogate.mean(), rel=1e-4)
    assert losses["value"].item() == pytest.approx(value_loss, rel=1e-4)
    total = -surrogate.mean() - 6e-4 * entropy + 0.35 * value_loss
    assert losses["total"].item() == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize(
    "change", [{}, {"clip": 0.01}, {"entropy_coefficient": 0.1}, {"truncation": "terminal"}]
)
def test_the_compiled_agent_learns_what_the_torch_agent_learns(acted, change):
    """From the same rollout and stream, the same parameters, optimiser and losses."""
    _, rollout = acted
    settings = SETTINGS.model_copy(update=change)
    fast = compiled(settings=settings)
    slow = TorchPPO(GymTask("HalfCheetah-v5", 7), settings, np.random.default_rng(0))
    for name, values in slow.arrays().items():
        np.testing.assert_array_equal(values, fast.arrays()[name])
    before = fast.policy.parameters.flat.copy()
    slow._seen, slow._beyond = map(
        torch.from_numpy, (rollout.normalised, rollout.following[rollout.cut])
    )
    got = fast.learn(rollout, rollout.rewards, 0.25, np.random.default_rng(3)).losses
    expected = slow.learn(rollout, rollout.rewards, 0.25, np.random.default_rng(3)).losses
    assert np.abs(fast.policy.parameters.flat - before).max() > 1e-3
    # a share of samples sits on the clip boundary, where rounding decides
    tolerance = 1e-6 if not change else 2e-5
    for name, values in slow.arrays().items():
        np.testing.assert_allclose(fast.arrays()[name], values, atol=tolerance, err_msg=name)
    assert got == pytest.approx(expected, rel=1e-3, abs=1e-6)
    state = slow.state_dict()["model"]
    steps = {int(value) for name, value in state.items() if name.endswith(".step")}
    assert steps == {fast.optimiser.step[0]} == {320}


@pytest.mark.parametrize("name", ["HalfCheetah-v5", "Pendulum-v1"])
def test_both_agents_act_alike_until_chaos_sets_in(name):
    fast, slow = compiled(name), TorchPPO(GymTask(name, 7), SETTINGS, np.random.default_rng(0))
    a, b = (one.act(GymTask(name, 7), 20, np.random.default_rng(1)) for one in (fast, slow))
    np.testing.assert_allclose(a.actions, b.actions, atol=1e-4)
    np.testing.assert_allclose(a.rewards, b.rewards, atol=1e-3)
    np.testing.assert_allclose(a.normalised, slow._seen, atol=1e-4)
    np.testing.assert_allclose(a.following[a.cut], slow._beyond, atol=1e-4)
    for mine, theirs in zip(fast.moments, slow.moments, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-6)
    seen = a.observations
    for one in (fast, slow):
        np.testing.assert_allclose(
            one.greedy(seen), outputs(one.arrays(), "actor", "tanh", one_sees(one, seen)), atol=1e-5
        )
    np.testing.assert_allclose(
        fast.log_probabilities(seen, a.actions), slow.log_probabilities(seen, a.actions), rtol=1e-3
    )


def one_sees(one, raw):
    mean, var, _ = one.moments
    return np.clip((raw - mean) / np.sqrt(var + 1e-8), -10, 10).astype(np.float32)


def test_greedy_acting_does_not_change_the_agent():
    for one in (compiled("Pendulum-v1"), torch_agent("Pendulum-v1")):
        one.act(GymTask("Pendulum-v1", 3), 250, np.random.default_rng(1))
        before = {name: values.copy() for name, values in one.arrays().items()}
        rollout = one.act(GymTask("Pendulum-v1", 5), 250, None)
        for name, values in one.arrays().items():
            np.testing.assert_array_equal(values, before[name])
        np.testing.assert_allclose(
            rollout.actions, one.greedy(rollout.observations), rtol=1e-4, atol=1e-5
        )


def torch_agent(name: str, **settings) -> TorchPPO:
    return TorchPPO(GymTask(name, 7), PPOSettings(**settings), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "settings", "because"),
    [
        ("HalfCheetah-v5", {}, None),
        ("Pendulum-v1", {"hidden": [16, 8]}, None),
        ("HalfCheetah-v5", {"hidden": [32, 32, 32]}, "3 hidden layers, and only two are compiled"),
        ("HalfCheetah-v5", {"activation": "relu"}, "activation relu, and only tanh is compiled"),
        ("CartPole-v1", {}, "CartPole-v1 has discrete actions"),
        ("Pendulum-v1", {"environments": 2}, "2 environments in step, and only one is compiled"),
    ],
)
def test_the_path_is_chosen_and_reported(name, settings, because):
    task = GymTask(name, 0)
    one = ppo.build(PPOSettings(**settings), task, np.random.default_rng(0))
    assert isinstance(one, TorchPPO if because else CompiledPPO)
    assert one.path.startswith(f"torch: {because}" if because else "compiled")


def test_log_probabilities_equal_torch(acted):
    one, rollout = acted
    policy = one.policy
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
    policy = compiled().policy
    for network, gain in ((policy.parameters.actor, 0.01), (policy.parameters.critic, 1.0)):
        gram = network.w2.T @ network.w2
        np.testing.assert_allclose(gram, 2 * np.eye(64), atol=1e-5)
        outputs = network.w3.T @ network.w3
        np.testing.assert_allclose(outputs, gain**2 * np.eye(len(outputs)), atol=1e-5)
    assert not policy.parameters.log_std.any()
