"""Compiling every kernel once per machine: `python -m active_rlhf.compute.warm_up`.

Each function is called with the types that training uses, on tiny arrays.
"""

import numpy as np

from active_rlhf.agents.ppo.agent import CompiledPPO
from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.behaviour.store import SegmentStore, schema
from active_rlhf.compute.layers import standardise
from active_rlhf.rewards.mlp import MLPEnsemble
from active_rlhf.rewards.settings import MLPSettings
from active_rlhf.selection.vae import SegmentVAE
from active_rlhf.study.settings import VAE, Precision
from active_rlhf.tasks.gym import GymTask
from active_rlhf.tasks.screens import areas, shrink


def agent() -> None:
    """Rollout, store, policy update and log-probabilities."""
    generator = np.random.default_rng(0)
    task = GymTask("HalfCheetah-v5", 0)
    settings = PPOSettings(rollout_steps=8, epochs=1, minibatches=2)
    ppo = CompiledPPO(task, settings, generator)
    rollout = ppo.act(task, 8, generator)
    store = SegmentStore(8, schema(task))
    store.append(rollout)
    store.gather(np.arange(2), 2)
    ppo.learn(rollout, rollout.rewards, 0.0, generator)
    ppo.log_probabilities(rollout.observations, rollout.actions)


def game() -> None:
    """What is seen of a screen, by a network or as bytes by reward networks."""
    screen, frame = np.zeros((210, 160), np.uint8), np.empty((84, 84), np.uint8)
    line = np.empty(160, np.float32)
    shrink(screen, screen, *areas(210, 84), *areas(160, 84), line, frame)
    out = np.empty((2, 3), np.float32)
    standardise(np.zeros((2, 3), np.uint8), np.zeros(3), np.ones(3), 1.0, out)


def reward_networks(precision: Precision) -> None:
    """Training and prediction of reward networks."""
    settings = MLPSettings(members=1, hidden=(4, 4), epochs=1, batch_size=2, precision=precision)
    ensemble = MLPEnsemble(2, 1, np.random.default_rng(0), settings)
    observations, actions = np.ones((2, 2, 2, 2), np.float32), np.ones((2, 2, 2, 1), np.float32)
    ensemble.fit(observations, actions, np.array([1.0, 0.0]))
    ensemble.rewards(observations, actions)


def vae(precision: Precision) -> None:
    """Training of the VAE, on segments with and without room to fill up."""
    settings = VAE(latent=1, channels=(2,), epochs=1, batch_size=2, precision=precision)
    for length in (5, 6):
        model = SegmentVAE(2, length, np.random.default_rng(0), settings)
        model.fit(np.ones((2, length, 2), np.float32))


if __name__ == "__main__":
    agent()
    game()
    kinds: tuple[Precision, ...] = ("float32", "bfloat16")
    for kind in kinds:
        reward_networks(kind)
        vae(kind)
