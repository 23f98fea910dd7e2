"""Acting with the compiled policy: physics and policy in one kernel where there is one."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np

from active_rlhf.agents.kernels import normalise
from active_rlhf.agents.ppo.policy import Policy
from active_rlhf.tasks import Task
from active_rlhf.tasks.rollout import Rollout

Buffers = namedtuple("Buffers", "observations normalised actions rewards")


@dataclass(frozen=True)
class NormalisedRollout(Rollout):
    """A rollout as the policy saw it.

    normalised [T, o]: the observations; following [T, o]: the observation after each step, which at
    an episode's end is its last one, not the first of the next.
    """

    normalised: np.ndarray
    following: np.ndarray


def fused(task: Task) -> Any:
    """What compiled code can step in place of the task, or None."""
    return getattr(task, "fused", None)


def step_by_step(
    task: Task,
    policy: Policy,
    noise: np.ndarray,
    learning: bool,
    start: int,
    stop: int,
    out: Buffers,
) -> tuple[int, bool, bool]:
    """Step through gymnasium from `start` to `stop` or to the episode's end.

    Returns where it stopped, whether the episode ended there, and whether it was terminated (not:
    truncated).
    """
    network = policy.parameters.actor
    for t in range(start, stop):
        out.observations[t] = task.observation
        hidden = np.tanh(out.normalised[t] @ network.w1 + network.b1)
        hidden = np.tanh(hidden @ network.w2 + network.b2)
        out.actions[t] = hidden @ network.w3 + network.b3 + noise[t]
        out.rewards[t], terminated, truncated = task.step(out.actions[t])
        normalise(task.observation, policy.moments, learning, out.normalised[t + 1])
        if terminated or truncated:
            return t + 1, True, terminated
    return stop, False, False


def step_robot(
    task: Task,
    policy: Policy,
    noise: np.ndarray,
    learning: bool,
    start: int,
    stop: int,
    out: Buffers,
) -> tuple[int, bool, bool]:
    """`step_by_step` for the robots, inside compiled code."""
    from active_rlhf.tasks.mujoco.kernels import rollout

    stopped, terminated = rollout(
        fused(task),
        policy.parameters.actor,
        noise,
        policy.moments,
        learning,
        start,
        stop,
        task.observation,
        out,
    )
    task.elapsed += stopped - start
    return stopped, terminated or task.elapsed == task.horizon, terminated


def collect(
    task: Task,
    policy: Policy,
    steps: int,
    exploration: np.random.Generator | None,
) -> NormalisedRollout:
    """Act for `steps` steps, with Gaussian exploration or, without a generator, the mean action.

    When exploring, every observation met, final ones included, counts once in the policy's
    normaliser; otherwise the normaliser is left as it is.
    """
    (o,), (a,) = task.observation_space.shape, task.action_space.shape
    out = Buffers(
        observations=np.empty((steps, o), np.float32),
        normalised=np.empty((steps + 1, o), np.float32),
        actions=np.empty((steps, a), np.float32),
        rewards=np.empty(steps),
    )
    ended, terminated = np.zeros(steps, bool), np.zeros(steps, bool)
    following = np.empty((steps, o), np.float32)
    learning = exploration is not None
    if exploration is None:
        noise = np.zeros((steps, a), np.float32)
    else:
        noise = exploration.standard_normal((steps, a), np.float32)
        noise *= np.exp(policy.parameters.log_std)
    advance = step_by_step if fused(task) is None else step_robot
    uncounted = learning and policy.moments.count[0] < 1
    normalise(task.observation, policy.moments, uncounted, out.normalised[0])
    finals, origins = [], []
    t = 0
    while t < steps:
        begin, stop = t, min(steps, t + task.horizon - task.elapsed)
        t, over, fell = advance(task, policy, noise, learning, begin, stop, out)
        following[begin:t] = out.normalised[begin + 1 : t + 1]
        if over:
            ended[t - 1], terminated[t - 1] = True, fell
            finals.append(task.observation)
            task.reset()
            origins.append(task.origin)
            normalise(task.observation, policy.moments, learning, out.normalised[t])
    return NormalisedRollout(
        observations=out.observations,
        actions=out.actions,
        rewards=out.rewards,
        ended=ended,
        terminated=terminated,
        finals=np.array(finals, np.float32).reshape(-1, o),
        origins=origins,
        normalised=out.normalised[:-1],
        following=following,
    )
