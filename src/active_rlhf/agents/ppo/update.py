"""Proximal policy optimisation (Schulman et al. 2017), in the variant of CleanRL's continuous task.

`update` is one whole policy update on a rollout whose rewards are given. It runs compiled;
`update_eager` is the same in plain torch, to read first and to test against.
"""

from collections import namedtuple
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from active_rlhf.agents import kernels as networks
from active_rlhf.agents.policy import Parameters, Policy, parameters
from active_rlhf.agents.ppo import kernels
from active_rlhf.compute.compilation import compiles
from active_rlhf.tasks.rollout import Rollout

if TYPE_CHECKING:
    import torch

Settings = namedtuple(
    "Settings", "clip entropy_coefficient value_coefficient max_grad_norm adam_epsilon"
)
Optimiser = namedtuple("Optimiser", "first second step")
Batch = namedtuple("Batch", "observations actions log_probabilities advantages returns values")


def optimiser(size: int) -> Optimiser:
    """Adam's moments [size] before the first step."""
    return Optimiser(np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(1, np.int64))


def batch(rollout: Rollout, rewards: np.ndarray, policy: Policy, config: dict[str, Any]) -> Batch:
    """Advantages and value targets [T] for a rollout under the rewards [T] the policy is to earn.

    Values and log-probabilities are those of `policy`, which must not have changed since it acted.
    """
    values = networks.network(rollout.normalised, policy.parameters.critic)[:, 0]
    # Inside an episode the value that follows is the next one; only ends need a second look.
    next_values = np.append(values[1:], np.float32(0))
    outside = rollout.ended.copy()
    outside[-1] = True
    next_values[outside] = networks.network(rollout.following[outside], policy.parameters.critic)[
        :, 0
    ]
    advantages = kernels.generalised_advantages(
        *(np.asarray(rewards, np.float64), values, next_values),
        *(rollout.ended, rollout.terminated, config["gamma"], config["gae_lambda"]),
    )
    means = networks.network(rollout.normalised, policy.parameters.actor)
    log_p = networks.log_probabilities(means, policy.parameters.log_std, rollout.actions)
    return Batch(
        *(rollout.normalised, rollout.actions, log_p, advantages, advantages + values, values)
    )


def _settings(config: dict[str, Any]) -> Settings:
    return Settings(
        float(config["clip"]),
        float(config["entropy_coefficient"]),
        float(config["value_coefficient"]),
        float(config["max_grad_norm"]),
        1e-5,
    )


def orders(steps: int, epochs: int, generator: np.random.Generator) -> np.ndarray:
    """Independent permutations [epochs, steps] of the rollout, sliced into minibatches."""
    return generator.permuted(np.tile(np.arange(steps, dtype=np.int32), (epochs, 1)), axis=1)


@dataclass(frozen=True)
class Losses:
    policy: float
    value: float
    kl: float
    clipped: float


def update(
    policy: Policy,
    state: Optimiser,
    data: Batch,
    config: dict[str, Any],
    learning_rate: float,
    generator: np.random.Generator,
) -> Losses:
    """Train `policy` and `state` in place for `epochs` x `minibatches` steps on `data`.

    Returns the losses averaged over the minibatches.
    """
    if not compiles():
        return update_eager(policy, state, data, config, learning_rate, generator)
    order = orders(len(data.values), config["epochs"], generator)
    params = policy.parameters
    shape = params.actor.w1.shape[0], params.log_std.size
    gradient = parameters(np.zeros_like(params.flat), *shape)
    size = len(data.values) // config["minibatches"]
    totals = kernels.ppo_update(
        params, gradient, state, data, order, size, _settings(config), float(learning_rate)
    )
    return Losses(*map(float, totals))


def losses_eager(
    flat: "torch.Tensor", shape: tuple[int, int], data: Batch, config: dict[str, Any]
) -> dict[str, "torch.Tensor"]:
    """The losses of one minibatch as torch scalars, differentiable in the flat parameters."""
    import torch

    pieces = _views(flat, shape)
    x, actions, old_log_p, advantages, returns, old_values = map(torch.as_tensor, data)

    def network(net: Any) -> torch.Tensor:
        hidden = torch.tanh(x @ net.w1 + net.b1)
        return torch.tanh(hidden @ net.w2 + net.b2) @ net.w3 + net.b3

    normal = torch.distributions.Normal(network(pieces.actor), pieces.log_std.exp())
    log_ratio = normal.log_prob(actions).sum(1) - old_log_p
    ratio = log_ratio.exp()
    clip = config["clip"]
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    clipped_ratio = ratio.clamp(1 - clip, 1 + clip)
    policy_loss = torch.max(-advantages * ratio, -advantages * clipped_ratio).mean()
    values = network(pieces.critic)[:, 0]
    near = old_values + (values - old_values).clamp(-clip, clip)
    value_loss = 0.5 * torch.max((values - returns) ** 2, (near - returns) ** 2).mean()
    entropy = normal.entropy().sum(1).mean()
    total = (
        policy_loss
        - config["entropy_coefficient"] * entropy
        + config["value_coefficient"] * value_loss
    )
    return {
        "total": total,
        "policy": policy_loss,
        "value": value_loss,
        "kl": ((ratio - 1) - log_ratio).mean(),
        "clipped": ((ratio - 1).abs() > clip).float().mean(),
    }


def _views(flat: "torch.Tensor", shape: tuple[int, int]) -> Parameters:
    template = parameters(np.empty(flat.numel(), np.float32), *shape)
    arrays = [*template.actor, *template.critic, template.log_std]
    pieces = flat.split([array.size for array in arrays])
    views = [p.reshape(array.shape) for p, array in zip(pieces, arrays, strict=True)]
    network = networks.Network
    return Parameters(flat, network(*views[:6]), network(*views[6:12]), views[12])


def update_eager(
    policy: Policy,
    state: Optimiser,
    data: Batch,
    config: dict[str, Any],
    learning_rate: float,
    generator: np.random.Generator,
) -> Losses:
    """`update` written out in torch, with the same arguments, random stream and results."""
    import torch

    order = orders(len(data.values), config["epochs"], generator)
    shape = policy.parameters.actor.w1.shape[0], policy.parameters.log_std.size
    flat = torch.from_numpy(policy.parameters.flat).requires_grad_()
    adam = torch.optim.Adam([flat], lr=learning_rate, eps=1e-5)
    adam.state[flat] = {
        "step": torch.tensor(float(state.step[0])),
        "exp_avg": torch.from_numpy(state.first),
        "exp_avg_sq": torch.from_numpy(state.second),
    }
    size = len(data.values) // config["minibatches"]
    history = []
    for epoch in order:
        for rows in epoch.reshape(-1, size):
            losses = losses_eager(flat, shape, Batch(*(a[rows] for a in data)), config)
            adam.zero_grad()
            losses["total"].backward()
            torch.nn.utils.clip_grad_norm_([flat], config["max_grad_norm"])
            adam.step()
            state.step[0] += 1
            history.append([losses[k].item() for k in ("policy", "value", "kl", "clipped")])
    return Losses(*np.mean(history, axis=0).tolist())
