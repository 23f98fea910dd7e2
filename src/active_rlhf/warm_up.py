"""Compiling every kernel once a machine, before runs need them."""

import numpy as np

from active_rlhf import compilation, kernels, ppo
from active_rlhf.policy import Policy
from active_rlhf.reward_model import RewardEnsemble
from active_rlhf.rollout import Actor, collect

_POLICY = {
    "epochs": 1,
    "minibatches": 2,
    "gamma": 0.9,
    "gae_lambda": 0.9,
    "clip": 0.2,
    "entropy_coefficient": 0.0,
    "value_coefficient": 0.5,
    "max_grad_norm": 0.5,
}
_REWARD = {
    "members": 1,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "dropout": 0.1,
    "epochs": 1,
    "batch_size": 2,
    "max_grad_norm": 1.0,
}


def warm_up(hidden_layers: int) -> None:
    """Compile for reward networks of this depth unless that is done; parallel callers wait."""
    compilation.warm_up(f"depth-{hidden_layers}", lambda: _exercise(hidden_layers))


def _exercise(hidden_layers: int) -> None:
    """Call every kernel once, with the types that training uses, on next to nothing."""
    generator = np.random.default_rng(0)
    actor = Actor("HalfCheetah-v5", 0)
    sizes = actor.observation_size, actor.action_size
    policy = Policy.initial(*sizes, generator)
    rollout = collect(actor, policy, 8, generator)
    data = ppo.batch(rollout, rollout.rewards, policy, _POLICY)
    state = ppo.optimiser(policy.parameters.flat.size)
    ppo.update(policy, state, data, _POLICY, 1e-3, generator)
    policy.log_probabilities(rollout.observations, rollout.actions)
    ensemble = RewardEnsemble(_REWARD | {"hidden": [4] * hidden_layers}, *sizes, generator)
    pairs = rollout.observations.reshape(2, 2, 2, -1), rollout.actions.reshape(2, 2, 2, -1)
    ensemble.fit(*pairs, np.array([1.0, 0.0]))
    ensemble.rewards(rollout.observations, rollout.actions)
    flat = np.zeros(8, np.float32)
    kernels.adam(flat, flat.copy(), flat.copy(), flat.copy(), 1, 1e-3, 1e-8)  # as the VAE does
