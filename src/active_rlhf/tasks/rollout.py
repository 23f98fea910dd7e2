"""Acting in the environment: one rollout, and evaluation episodes.

`Actor` holds an environment in mid-episode. `collect` advances it by a rollout, inside compiled
code where the task allows it and through gymnasium otherwise.
"""

from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from active_rlhf.agents.kernels import normalise
from active_rlhf.agents.policy import Policy
from active_rlhf.compute.compilation import compiles
from active_rlhf.tasks import gym
from active_rlhf.tasks.mujoco import kernels, robots

Buffers = namedtuple("Buffers", "observations normalised actions rewards")


@dataclass(frozen=True)
class Rollout:
    """T consecutive environment steps; episodes may end inside.

    observations [T, o] raw, normalised [T, o] as the policy saw them, actions [T, a] as sampled
    (float32); rewards [T] true (float64); ended, terminated [T] bool; following [T, o] the
    normalised observation after each step, at an episode's end its final one.
    """

    observations: np.ndarray
    normalised: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    ended: np.ndarray
    terminated: np.ndarray
    following: np.ndarray


class NotReproducible(RuntimeError):
    """An environment behaves differently when it is asked to do the same again."""


@dataclass
class Actor:
    """An environment in mid-episode. `seed` starts its own random stream."""

    name: str
    seed: int
    compiled: bool = True
    env: Any = field(init=False)
    episode_length: int = field(init=False)
    elapsed: int = field(init=False, default=0)
    raw: np.ndarray = field(init=False)
    _origin: dict[str, Any] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.env, self.episode_length = gym.make(self.name)
        self._task = robots.locomotion(self.env) if self.compiled else None
        self._physics = None if self._task is None else robots.physics(self.env)
        space = self.env.action_space
        self.low, self.high = space.low.astype(np.float32), space.high.astype(np.float32)
        self.raw = self.env.reset(seed=self.seed)[0].astype(np.float64)

    @property
    def observation_size(self) -> int:
        return self.env.observation_space.shape[0]

    @property
    def action_size(self) -> int:
        return self.env.action_space.shape[0]

    def reset(self) -> None:
        self._origin = self.env.np_random.bit_generator.state
        self.raw = self.env.reset()[0].astype(np.float64)
        self.elapsed = 0

    def state_dict(self) -> dict[str, Any]:
        """How to come back to here: the random state from which the episode began (None for the
        first one), the steps since then and the observation they led to."""
        return {"origin": self._origin, "elapsed": self.elapsed, "raw": self.raw}

    def load_state_dict(
        self, state: Mapping[str, Any], actions: np.ndarray, rewards: np.ndarray
    ) -> None:
        """Bring a new actor to where another one was, by living through the episode again.

        actions [elapsed, a] as sampled and true rewards [elapsed] of the episode so far. Raises
        NotReproducible if they now lead to other rewards or to another observation, as where an
        environment's chance is not that of its `np_random`.
        """
        if state["origin"] is not None:
            self.env.np_random.bit_generator.state = state["origin"]
            self.reset()
        same = True
        for action, expected in zip(actions, rewards, strict=True):
            raw, reward, *_ = self.env.step(self.control(action))
            self.raw = np.array(raw, np.float64)
            same = same and reward == expected
        self.elapsed = len(actions)
        if not same or not np.array_equal(self.raw, state["raw"]):
            raise NotReproducible(f"{self.name} does not repeat an episode bit for bit")

    def control(self, action: np.ndarray) -> np.ndarray:
        """A sampled action as the environment takes it: float64, as the control that the kernel
        writes."""
        return np.clip(action, self.low, self.high).astype(np.float64)

    def advance(
        self, policy: Policy, noise: np.ndarray, learning: bool, start: int, out: Buffers
    ) -> tuple[int, bool]:
        """Step from `start` to the end of the rollout or of the episode, whichever is first.

        Returns where it stopped and whether the task was terminated there (not truncated).
        """
        stop = min(len(noise), start + self.episode_length - self.elapsed)
        terminated = False
        if compiles() and self._task is not None:
            kernels.rollout(
                *(self._physics, self._task, policy.parameters.actor, noise, self.low, self.high),
                *(policy.moments, learning, start, stop, self.raw, out),
            )
        else:
            stop, terminated = step_gymnasium(self, policy, noise, learning, start, stop, out)
        self.elapsed += stop - start
        return stop, terminated


def step_gymnasium(
    actor: Actor,
    policy: Policy,
    noise: np.ndarray,
    learning: bool,
    start: int,
    stop: int,
    out: Buffers,
) -> tuple[int, bool]:
    """What `kernels.rollout` does, for any gymnasium environment."""
    network = policy.parameters.actor
    for t in range(start, stop):
        out.observations[t] = actor.raw
        hidden = np.tanh(out.normalised[t] @ network.w1 + network.b1)
        hidden = np.tanh(hidden @ network.w2 + network.b2)
        out.actions[t] = hidden @ network.w3 + network.b3 + noise[t]
        raw, reward, terminated, _, _ = actor.env.step(actor.control(out.actions[t]))
        actor.raw = np.asarray(raw, np.float64)
        out.rewards[t] = reward
        normalise(actor.raw, policy.moments, learning, out.normalised[t + 1])
        if terminated:
            return t + 1, True
    return stop, False


def collect(
    actor: Actor,
    policy: Policy,
    steps: int,
    exploration: np.random.Generator | None,
    uniform: bool = False,
) -> Rollout:
    """Act for `steps` steps, with Gaussian exploration or, without a generator, the mean action.

    `uniform` explores with uniform noise over the action box instead: added to a policy of zeros it
    gives uniformly random actions.

    When exploring, every observation met, final ones included, counts once in the policy's
    normaliser; otherwise the normaliser is left as it is.
    """
    o, a = actor.observation_size, actor.action_size
    out = Buffers(
        np.empty((steps, o), np.float32),
        np.empty((steps + 1, o), np.float32),
        np.empty((steps, a), np.float32),
        np.empty(steps),
    )
    ended, terminated = np.zeros(steps, bool), np.zeros(steps, bool)
    following = np.empty((steps, o), np.float32)
    learning = exploration is not None
    if exploration is None:
        noise = np.zeros((steps, a), np.float32)
    elif uniform:
        noise = exploration.uniform(actor.low, actor.high, (steps, a)).astype(np.float32)
    else:
        noise = exploration.standard_normal((steps, a), np.float32)
        noise *= np.exp(policy.parameters.log_std)
    uncounted = learning and policy.moments.count[0] < 1
    normalise(actor.raw, policy.moments, uncounted, out.normalised[0])
    t = 0
    while t < steps:
        begin = t
        t, was_terminated = actor.advance(policy, noise, learning, begin, out)
        following[begin:t] = out.normalised[begin + 1 : t + 1]
        if was_terminated or actor.elapsed == actor.episode_length:
            ended[t - 1], terminated[t - 1] = True, was_terminated
            actor.reset()
            normalise(actor.raw, policy.moments, learning, out.normalised[t])
    return Rollout(
        *(out.observations, out.normalised[:-1], out.actions, out.rewards),
        *(ended, terminated, following),
    )


def evaluate(actor: Actor, policy: Policy, episodes: int) -> np.ndarray:
    """True returns [episodes] of the deterministic policy with its normaliser frozen."""
    returns = np.empty(episodes)
    for episode in range(episodes):
        actor.reset()
        rollout = collect(actor, policy, actor.episode_length, None)
        returns[episode] = rollout.rewards[: np.argmax(rollout.ended) + 1].sum()
    return returns
