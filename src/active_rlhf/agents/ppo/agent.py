"""PPO on its fast path: two hidden tanh layers, Gaussian actions, everything compiled.

Read `update.TorchPPO` first: it is the same algorithm, and the tests compare this with it.
"""

from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import numpy as np

from active_rlhf.agents import Learned
from active_rlhf.agents import kernels as networks
from active_rlhf.agents.advantages import without_future
from active_rlhf.agents.normalise import Moments
from active_rlhf.agents.ppo import kernels
from active_rlhf.agents.ppo.policy import Policy, parameters
from active_rlhf.agents.ppo.rollout import NormalisedRollout, collect, fused
from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.agents.saved import bounds
from active_rlhf.tasks import Task
from active_rlhf.tasks.rollout import Rollout

ADAM_EPSILON = 1e-5

Optimiser = namedtuple("Optimiser", "first second step")
Batch = namedtuple("Batch", "observations actions log_probabilities advantages returns values")
Coefficients = namedtuple(
    "Coefficients", "clip entropy_coefficient value_coefficient max_grad_norm adam_epsilon"
)


def optimiser(size: int) -> Optimiser:
    """Adam's moments [size] before the first step."""
    return Optimiser(np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(1, np.int64))


def orders(steps: int, epochs: int, generator: np.random.Generator) -> np.ndarray:
    """Independent permutations [epochs, steps] of the rollout, sliced into minibatches."""
    return generator.permuted(np.tile(np.arange(steps, dtype=np.int32), (epochs, 1)), axis=1)


def batch(
    rollout: NormalisedRollout, rewards: np.ndarray, policy: Policy, settings: PPOSettings
) -> Batch:
    """Advantages and value targets [T] for a rollout under the rewards [T].

    Values and log-probabilities are those of `policy`, which must not have changed since it acted.
    """
    values = networks.network(rollout.normalised, policy.parameters.critic)[:, 0]
    # Within an episode the following value is the next one; only ends are different.
    next_values = np.append(values[1:], np.float32(0))
    outside = rollout.cut
    following = networks.network(rollout.following[outside], policy.parameters.critic)
    next_values[outside] = following[:, 0]
    advantages = kernels.generalised_advantages(
        np.asarray(rewards, np.float64),
        values,
        next_values,
        rollout.ended,
        without_future(rollout.ended, rollout.terminated, settings.truncation),
        settings.gamma,
        settings.gae_lambda,
    )
    means = networks.network(rollout.normalised, policy.parameters.actor)
    log_p = networks.log_probabilities(means, policy.parameters.log_std, rollout.actions)
    return Batch(
        observations=rollout.normalised,
        actions=rollout.actions,
        log_probabilities=log_p,
        advantages=advantages,
        returns=advantages + values,
        values=values,
    )


def update(
    policy: Policy,
    state: Optimiser,
    data: Batch,
    settings: PPOSettings,
    learning_rate: float,
    generator: np.random.Generator,
) -> dict[str, float]:
    """Train `policy` and `state` in place for `epochs` x `minibatches` steps on `data`.

    Returns the losses averaged over the minibatches: policy, value, kl, clipped.
    """
    params = policy.parameters
    hidden = params.actor.b1.size, params.actor.b2.size
    gradient = parameters(
        np.zeros_like(params.flat), params.actor.w1.shape[0], params.log_std.size, hidden
    )
    totals = kernels.ppo_update(
        params,
        gradient,
        state,
        data,
        orders(len(data.values), settings.epochs, generator),
        len(data.values) // settings.minibatches,
        Coefficients(
            clip=settings.clip,
            entropy_coefficient=settings.entropy_coefficient,
            value_coefficient=settings.value_coefficient,
            max_grad_norm=settings.max_grad_norm,
            adam_epsilon=ADAM_EPSILON,
        ),
        float(learning_rate),
    )
    return dict(zip(("policy", "value", "kl", "clipped"), map(float, totals), strict=True))


class CompiledPPO:
    """The agent."""

    def __init__(self, task: Task, settings: PPOSettings, stream: np.random.Generator):
        self.settings, self.discount = settings, settings.gamma
        (observations,), (actions,) = task.observation_space.shape, task.action_space.shape
        first, second = settings.hidden
        self.policy = Policy.initial(observations, actions, stream, (first, second))
        self._bounds = bounds(task.action_space)
        self.optimiser = optimiser(self.policy.parameters.flat.size)
        self.path = "compiled: update and policy"
        if fused(task) is None:
            self.path += f", with {task.name} stepped through gymnasium"
        else:
            self.path += f", in one loop with the physics of {task.name}"

    @property
    def moments(self) -> Moments:
        return self.policy.moments

    def act(self, task: Task, steps: int, stream: np.random.Generator | None) -> NormalisedRollout:
        return collect(task, self.policy, steps, stream)

    def learn(
        self, rollout: Rollout, rewards: np.ndarray, progress: float, stream: np.random.Generator
    ) -> Learned:
        assert isinstance(rollout, NormalisedRollout)
        share = 1.0 - progress if self.settings.anneal else 1.0
        data = batch(rollout, rewards, self.policy, self.settings)
        rate = self.settings.learning_rate * share
        losses = update(self.policy, self.optimiser, data, self.settings, rate, stream)
        return Learned(losses, {"parameters": self.policy.parameters.flat, **data._asdict()})

    def log_probabilities(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return self.policy.log_probabilities(observations, actions)

    def greedy(self, observations: np.ndarray) -> np.ndarray:
        return self.policy.mean_action(observations)

    def arrays(self) -> dict[str, np.ndarray]:
        return self.policy.arrays() | self._bounds

    def _state(self) -> dict[str, np.ndarray]:
        return {
            "parameters": self.policy.parameters.flat,
            **self.policy.moments._asdict(),
            **self.optimiser._asdict(),
        }

    def state_dict(self) -> dict[str, Any]:
        return self._state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, array in self._state().items():
            array[:] = state[name]
