"""A rollout, and how any agent collects one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from active_rlhf.tasks import Task


@dataclass(frozen=True)
class Rollout:
    """T consecutive environment steps, within which k episodes ended.

    observations [T, ...] raw (float32, or as they are where not floating point), actions as
    sampled (float32 [T, a], or int64 [T]); rewards [T] true (float64); ended, terminated [T] bool;
    finals [k, ...] the last raw observations of the k episodes; origins: for each of these, the
    state of the environment's random stream at the start of the next episode.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    ended: np.ndarray
    terminated: np.ndarray
    finals: np.ndarray
    origins: list[Mapping[str, Any] | None]


def stored_dtype(space: Any) -> np.dtype:
    """How values of a gymnasium space are stored: floating point as float32, others unchanged."""
    return np.dtype(np.float32) if space.dtype.kind == "f" else np.dtype(space.dtype)


def collect(
    task: Task,
    steps: int,
    act: Callable[[np.ndarray, int], np.ndarray],
    met: Callable[[np.ndarray, int | None], None] = lambda observation, after: None,
) -> Rollout:
    """Act in `task` for `steps` steps, one by one.

    act: gives the action for a raw observation at step t; met: called with every further raw
    observation and the step that led to it, or None if it begins an episode.
    """
    seen, acted = task.observation_space, task.action_space
    observations = np.empty((steps, *seen.shape), stored_dtype(seen))
    actions = np.empty((steps, *acted.shape), stored_dtype(acted))
    rewards = np.empty(steps)
    ended, terminated = np.zeros(steps, bool), np.zeros(steps, bool)
    finals, origins = [], []
    for t in range(steps):
        observations[t] = task.observation
        actions[t] = act(task.observation, t)
        rewards[t], terminated[t], truncated = task.step(actions[t])
        met(task.observation, t)
        if terminated[t] or truncated:
            ended[t] = True
            finals.append(task.observation)
            task.reset()
            origins.append(task.origin)
            met(task.observation, None)
    final = np.array(finals, observations.dtype).reshape(-1, *seen.shape)
    return Rollout(observations, actions, rewards, ended, terminated, final, origins)
