"""A rollout, and how any agent collects one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from active_rlhf.tasks import Task, VectorTask


@dataclass(frozen=True)
class Rollout:
    """T consecutive environment steps, within which k episodes ended.

    With several environments in step (`lanes`), the T / lanes steps of the first come first, then
    those of the second, and so on; finals and origins are in that order too.

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
    lanes: int = field(default=1, kw_only=True)

    @property
    def cut(self) -> np.ndarray:
        """Steps, bool [T], that the next row does not continue: the last of an episode, and of an
        environment."""
        cut = self.ended.copy()
        each = len(cut) // self.lanes
        cut[each - 1 :: each] = True
        return cut


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


def collect_in_step(
    tasks: VectorTask,
    steps: int,
    act: Callable[[np.ndarray, int], np.ndarray],
    met: Callable[[np.ndarray, np.ndarray, int], None] = lambda observations, ended, t: None,
    began: Callable[[np.ndarray], None] = lambda observations: None,
) -> Rollout:
    """Act in n environments in step, for `steps` steps of all together; n must divide `steps`.

    act: gives the actions [n, ...] for raw observations [n, ...] at time t; met: called with the
    observations [n, ...] that time t led to and with whether episodes ended there, bool [n]; began:
    with the observations [k, ...] that begin episodes after that.
    """
    n, seen, acted = tasks.environments, tasks.observation_space, tasks.action_space
    times = steps // n
    observations = np.empty((n, times, *seen.shape), stored_dtype(seen))
    actions = np.empty((n, times, *acted.shape), stored_dtype(acted))
    rewards = np.empty((n, times))
    ended, terminated = np.zeros((n, times), bool), np.zeros((n, times), bool)
    finals: list[list[np.ndarray]] = [[] for _ in range(n)]
    origins: list[list[Any]] = [[] for _ in range(n)]
    now = tasks.observations
    for t in range(times):
        observations[:, t] = now
        actions[:, t] = act(now, t)
        rewards[:, t], terminated[:, t], truncated = tasks.step(actions[:, t])
        now, ended[:, t] = tasks.observations, terminated[:, t] | truncated
        met(now, ended[:, t], t)
        over = np.flatnonzero(ended[:, t])
        if not over.size:
            continue
        for lane in over:
            finals[lane].append(now[lane].astype(observations.dtype))
        tasks.reset(over)
        now = tasks.observations
        for lane in over:
            origins[lane].append(tasks.origins[lane])
        began(now[over])
    return Rollout(
        observations=observations.reshape(-1, *seen.shape),
        actions=actions.reshape(-1, *acted.shape),
        rewards=rewards.ravel(),
        ended=ended.ravel(),
        terminated=terminated.ravel(),
        finals=np.array(list(chain.from_iterable(finals)), observations.dtype).reshape(
            -1, *seen.shape
        ),
        origins=list(chain.from_iterable(origins)),
        lanes=n,
    )
