"""Compiling every kernel once a machine: `python -m active_rlhf.compute.warm_up`.

Each function is called with the types that training uses, on next to nothing.
"""

import numpy as np

from active_rlhf.agents.policy import Policy
from active_rlhf.agents.ppo import update as ppo
from active_rlhf.behaviour.store import SegmentStore
from active_rlhf.compute.precision import DTYPES
from active_rlhf.rewards import build
from active_rlhf.selection.vae import SegmentVAE
from active_rlhf.tasks.rollout import Actor, collect

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
    "hidden": [4, 4],
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "dropout": 0.1,
    "epochs": 1,
    "batch_size": 2,
    "max_grad_norm": 1.0,
}
_VAE = {
    "latent": 1,
    "channels": [2],
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "kl_weight": 0.0,
    "noise": 0.1,
    "epochs": 1,
    "batch_size": 2,
}


def agent() -> None:
    """Rollout, store, policy update and log-probabilities."""
    generator = np.random.default_rng(0)
    actor = Actor("HalfCheetah-v5", 0)
    policy = Policy.initial(actor.observation_size, actor.action_size, generator)
    rollout = collect(actor, policy, 8, generator)
    store = SegmentStore(8, actor.low, actor.high, actor.observation_size)
    store.append(rollout)
    store.gather(np.arange(2), 2)
    data = ppo.batch(rollout, rollout.rewards, policy, _POLICY)
    state = ppo.optimiser(policy.parameters.flat.size)
    ppo.update(policy, state, data, _POLICY, 1e-3, generator)
    policy.log_probabilities(rollout.observations, rollout.actions)


def reward_networks(precision: str) -> None:
    """Training and prediction of reward networks."""
    generator = np.random.default_rng(0)
    ensemble = build("mlp", _REWARD | {"precision": precision}, 2, 1, generator)
    observations, actions = np.ones((2, 2, 2, 2), np.float32), np.ones((2, 2, 2, 1), np.float32)
    ensemble.fit(observations, actions, np.array([1.0, 0.0]))
    ensemble.rewards(observations, actions)


def vae(precision: str) -> None:
    """Training of the VAE, on segments with and without room to fill up."""
    for length in (5, 6):
        model = SegmentVAE(_VAE | {"precision": precision}, 2, length, np.random.default_rng(0))
        model.fit(np.ones((2, length, 2), np.float32))


if __name__ == "__main__":
    agent()
    for precision in DTYPES:
        reward_networks(precision)
        vae(precision)
