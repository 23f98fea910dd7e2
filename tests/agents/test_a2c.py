"""A2C: returns by brute force, and its update against one written out plainly."""

import identity  # noqa: F401
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from active_rlhf.agents.a2c.agent import RMSprop
from active_rlhf.agents.advantages import generalised_advantages
from active_rlhf.parts import part
from active_rlhf.parts.conformance import agents as conformance
from active_rlhf.parts.conformance.runs import RUN
from active_rlhf.parts.conformance.subject import Subject
from active_rlhf.tasks.gym import GymTask
from active_rlhf.tasks.rollout import Rollout
from active_rlhf.tasks.vector import TasksInStep

SETTINGS = {
    **{"environments": 3, "rollout_steps": 36, "hidden": [6], "learning_rate": 0.02},
    **{"gamma": 0.9, "value_coefficient": 0.4, "entropy_coefficient": 0.03, "max_grad_norm": 0.3},
}


def made(name: str, **changes):
    tasks = TasksInStep([GymTask(name, seed) for seed in range(3)])
    settings = SETTINGS | changes
    return part("agent", "a2c").build(settings, tasks, np.random.default_rng(0)), tasks


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 12))
def test_returns_are_those_of_n_steps(seed, lanes, times):
    """The discounted rewards to the end of the episode, or of the rollout and the value there."""
    g = np.random.default_rng(seed)
    rewards, n = g.normal(size=lanes * times), lanes * times
    values, following = g.normal(size=(2, n)).astype(np.float32)
    ended = g.random(n) < 0.2
    terminated, nothing = ended & (g.random(n) < 0.5), np.empty((n, 0))
    cut = Rollout(nothing, nothing, rewards, ended, terminated, nothing, [], lanes=lanes).cut
    following = np.where(cut, following, np.append(values[1:], 0))
    found = values + generalised_advantages(rewards, values, following, cut, terminated, 0.9, 1.0)
    for row in range(n):
        expected, weight = 0.0, 1.0
        for t in range(row, (row // times + 1) * times):
            expected, weight = expected + weight * rewards[t], weight * 0.9
            if ended[t]:
                break
        expected += 0.0 if terminated[t] else weight * following[t]
        assert found[row] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def plain(arrays, name: str, x: np.ndarray):
    """Outputs and values of networks with these parameters, for what they see."""
    if name == "mlp":
        return [
            torch.tanh(x @ arrays[f"{role}.w1"] + arrays[f"{role}.b1"]) @ arrays[f"{role}.w2"]
            + arrays[f"{role}.b2"]
            for role in ("actor", "critic")
        ]
    for layer, stride in enumerate((4, 2, 1), 1):
        x = conv2d(x, arrays[f"pixels.w{layer}"], arrays[f"pixels.b{layer}"], stride).relu()
    x = (x.flatten(1) @ arrays["trunk.w1"] + arrays["trunk.b1"]).relu()
    return [x @ arrays[f"{role}.w1"] + arrays[f"{role}.b1"] for role in ("actor", "critic")]


@pytest.mark.parametrize(
    ("name", "network", "truncation"),
    [
        ("Identity-v0", "mlp", "bootstrap"),
        ("IdentityBox-v0", "mlp", "terminal"),
        ("IdentityColour-v0", "cnn", "bootstrap"),
    ],
)
def test_an_update_is_the_one_written_out(name, network, truncation):
    agent, tasks = made(name, network=network, truncation=truncation)
    stream = np.random.default_rng(1)
    rollout = agent.act(tasks, 36, stream)
    assert rollout.ended.sum() == 3
    then = {k: v.copy() for k, v in agent.arrays().items() if v.dtype == np.float32}
    parameters = {name: torch.from_numpy(v).double().requires_grad_() for name, v in then.items()}

    def see(observations):
        if network == "mlp":
            return torch.from_numpy(observations).double().sign()  # these are -1 or 1
        return torch.from_numpy(np.moveaxis(observations, -1, 1) / 255.0)

    if network == "mlp":
        seen = agent.model._memory.reshape(12, 3, 1).swapaxes(0, 1).reshape(36, 1)
        assert (seen.sign() == see(rollout.observations)).all()
        see_all, final = seen.double(), agent._beyond.double()
    else:
        order = iter(rollout.finals)
        rows = zip(np.flatnonzero(rollout.cut) // 12, np.flatnonzero(rollout.cut) % 12, strict=True)
        raw = [
            next(order) if t < 11 else tasks.observations[lane] for lane, t in rows
        ]  # nothing ends with the last step
        see_all, final = see(rollout.observations), see(np.array(raw))
    outputs, values = plain(parameters, network, see_all)
    values = values[:, 0]
    beyond = iter(plain(parameters, network, final)[1][:, 0].tolist())
    returns = torch.empty(36, dtype=torch.float64)
    ends = {row: next(beyond) for row in np.flatnonzero(rollout.cut).tolist()}
    for row in range(36):
        t, weight, total = row, 1.0, 0.0
        while True:
            total, weight = total + weight * rollout.rewards[t], weight * 0.9
            if t in ends:
                break
            t += 1
        lost = truncation == "terminal" and rollout.ended[t]
        returns[row] = total + (0.0 if lost else weight * ends[t])
    if "Box" in name:
        sd = parameters["log_std"].exp()
        actions = torch.from_numpy(rollout.actions)
        distance = ((actions - outputs) / sd) ** 2
        log_p = (-0.5 * distance - sd.log() - 0.5 * np.log(2 * np.pi)).sum(1)
        entropy = (0.5 * np.log(2 * np.pi * np.e) + sd.log()).sum()
    else:
        all_log_p = outputs - outputs.logsumexp(1, keepdim=True)
        log_p = all_log_p[range(36), rollout.actions]
        entropy = -(all_log_p.exp() * all_log_p).sum(1).mean()
    policy_loss = -((returns - values).detach() * log_p).mean()
    value_loss = ((returns - values) ** 2).mean()
    (policy_loss + 0.4 * value_loss - 0.03 * entropy).backward()
    learned = agent.learn(rollout, rollout.rewards, 0.5, stream)
    expected = {"policy": policy_loss, "value": value_loss, "entropy": entropy}
    for key, value in expected.items():
        assert learned.losses[key] == pytest.approx(value.item(), rel=1e-4, abs=1e-5)
    gradients = {k: v.grad for k, v in parameters.items() if v.grad is not None}
    norm = sum(float((one**2).sum()) for one in gradients.values()) ** 0.5
    assert learned.arrays["gradient"] == pytest.approx(norm, rel=1e-4)
    for key, gradient in gradients.items():
        clipped = gradient.numpy() * min(1.0, 0.3 / norm)
        wanted = then[key] - 0.02 * clipped / np.sqrt(0.99 + 0.01 * clipped**2 + 1e-5)
        np.testing.assert_allclose(agent.arrays()[key], wanted, rtol=1e-5, atol=1e-7)
        assert not np.allclose(wanted, then[key], rtol=0, atol=1e-7)


def test_rmsprop_begins_at_one_and_has_epsilon_under_the_root():
    g = np.random.default_rng(0)
    parameter = torch.nn.Parameter(torch.from_numpy(g.normal(size=(3, 2))))
    optimiser = RMSprop([parameter], decay=0.9, epsilon=0.01)
    optimiser.param_groups[0]["lr"] = 0.1
    expected, square = parameter.detach().numpy().copy(), np.ones((3, 2))
    for _ in range(5):
        gradient = g.normal(size=(3, 2))
        parameter.grad = torch.from_numpy(gradient.copy())
        optimiser.step()
        square = 0.9 * square + 0.1 * gradient**2
        expected -= 0.1 * gradient / np.sqrt(square + 0.01)
        np.testing.assert_allclose(parameter.detach(), expected)


@pytest.mark.parametrize(("what", "check"), [*conformance.CHECKS, RUN])
def test_it_is_an_agent_like_any_other(what, check):
    subject = Subject("agent", "a2c", None, part("agent", "a2c"))
    check(subject, {"environments": 2, "hidden": [8]})
