"""Everything the policy did, raw, and the segments cut from it.

A segment is H consecutive steps inside one episode, named by the global index of its first step.
Observations are kept as the environment gave them, so that old behaviour can be scored with current
normalisation. True rewards are only for teachers and measurements.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from active_rlhf.behaviour.rows import SparseRows
from active_rlhf.tasks.rollout import Rollout, stored_dtype

CHUNK = 1 << 14  # steps in a piece of `SegmentStore.rows`

Schema = Mapping[str, tuple[tuple[int, ...], Any]]
"""The data of a step: name -> shape and dtype."""


def schema(task: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
    """The schema of a task's observations and actions."""
    spaces = {"observation": task.observation_space, "action": task.action_space}
    return {name: (space.shape, stored_dtype(space)) for name, space in spaces.items()}


def _column(capacity: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Room for a column. The system provides pages as they are written."""
    if len(shape) == 1 and np.dtype(dtype) == np.float32:
        return SparseRows(capacity, shape[0])
    return np.empty((capacity, *shape), dtype)


class SegmentStore:
    """All steps of a run in time order. `capacity` is the number of steps the run will take.

    schema: `observation` and `action`, as from `schema`. Actions are kept as sampled from the
    policy, before they are clipped to what the environment takes.
    """

    def __init__(self, capacity: int, schema: Schema):
        self.schema = {name: (tuple(shape), np.dtype(d)) for name, (shape, d) in schema.items()}
        self._observations = _column(capacity, *self.schema["observation"])
        shape, dtype = self.schema["action"]
        self._actions = np.empty((capacity, *shape), dtype)
        self._rewards = np.empty(capacity)
        self._terminated = np.empty(capacity, bool)
        self._starts = [0]
        self.finals: list[np.ndarray] = []
        """The raw observation that each finished episode ended in."""
        self.origins: list[Mapping[str, Any] | None] = [None]
        """For each episode, the state of the environment's random stream at its start; None for the
        first, which starts from the run's seed."""
        self.steps = 0

    @property
    def observations(self) -> Any:
        """Raw observations [steps, ...], indexed by slices and by positions."""
        return self._observations

    @property
    def actions(self) -> np.ndarray:
        """Actions as sampled from the policy [steps, ...]."""
        return self._actions[: self.steps]

    @property
    def rewards(self) -> np.ndarray:
        """True rewards, float64 [steps]."""
        return self._rewards[: self.steps]

    @property
    def terminated(self) -> np.ndarray:
        """Whether the task itself ended the episode at this step, bool [steps]."""
        return self._terminated[: self.steps]

    def append(self, rollout: Rollout) -> None:
        """Add a rollout, which continues the episode that the previous one left open."""
        self._add(
            rollout.observations,
            rollout.actions,
            rollout.rewards,
            rollout.ended,
            rollout.terminated,
        )
        self.finals.extend(rollout.finals)
        self.origins.extend(rollout.origins)

    def _add(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        ended: np.ndarray,
        terminated: np.ndarray,
    ) -> None:
        begin, end = self.steps, self.steps + len(rewards)
        if end > len(self._rewards):
            raise ValueError(f"store of {len(self._rewards)} steps cannot take step {end}")
        if isinstance(self._observations, SparseRows):
            self._observations.append(observations)
        else:
            self._observations[begin:end] = observations
        self._actions[begin:end] = actions
        self._rewards[begin:end] = rewards
        self._terminated[begin:end] = terminated
        self._starts.extend((begin + 1 + np.flatnonzero(ended)).tolist())
        self.steps = end

    @property
    def row(self) -> np.dtype:
        """The type of a step in `rows`."""
        fields = [(name, dtype, shape) for name, (shape, dtype) in self.schema.items()]
        known = [("reward", np.float64), ("ended", np.bool_), ("terminated", np.bool_)]
        return np.dtype([*fields, *known])

    def rows(self, begin: int) -> Iterator[np.ndarray]:
        """Everything about the steps from `begin` on, in pieces, for `extend`."""
        ends = np.asarray(self._starts[1:], np.int64) - 1
        for first in range(begin, self.steps, CHUNK):
            part = slice(first, min(first + CHUNK, self.steps))
            rows = np.zeros(part.stop - part.start, self.row)
            rows["observation"] = self._observations[part]
            rows["action"] = self._actions[part]
            rows["reward"] = self._rewards[part]
            rows["ended"][ends[(ends >= part.start) & (ends < part.stop)] - first] = True
            rows["terminated"] = self._terminated[part]
            yield rows

    def extend(self, rows: np.ndarray) -> None:
        """Add steps as `rows` gave them."""
        names = ("observation", "action", "reward", "ended", "terminated")
        self._add(*(rows[name] for name in names))

    def state_dict(self) -> dict[str, Any]:
        """The state that is not in `rows`."""
        shape, dtype = self.schema["observation"]
        finals = np.array(self.finals, dtype).reshape(-1, *shape)
        return {"finals": finals, "origins": self.origins}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the `state_dict` of another store; this one must have its rows already."""
        self.finals, self.origins = list(state["finals"]), list(state["origins"])

    def episodes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts, lengths (int64 [k]) and whether finished (bool [k]), in time order.

        The last episode may be unfinished; an episode without steps is not listed.
        """
        starts = np.asarray(self._starts, np.int64)
        lengths = np.diff(np.append(starts, self.steps))
        finished = np.ones(len(starts), bool)
        finished[-1] = False
        seen = lengths > 0
        return starts[seen], lengths[seen], finished[seen]

    def finished_episodes(self, since: int = 0) -> list[tuple[int, int]]:
        """Start and length of the finished episodes in time order, without the first `since`."""
        return [(begin, end - begin) for begin, end in pairwise(self._starts[since:])]

    def draw(
        self,
        generator: np.random.Generator,
        count: int,
        length: int,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Ids (int64 [count]) of segments of `length` steps, drawn with replacement.

        Uniform over all windows inside one episode, finished or not. With `weights` [k], an episode
        is drawn by its weight, and then one of its windows uniformly. Episodes shorter than
        `length` are never drawn. Raises ValueError if no episode is long enough.
        """
        starts, lengths, _ = self.episodes()
        windows = np.maximum(lengths - length + 1, 0)
        mass = windows.astype(float) if weights is None else weights * (windows > 0)
        if not mass.sum() > 0:
            raise ValueError(f"no episode holds a segment of {length} steps yet")
        episode = generator.choice(len(starts), size=count, p=mass / mass.sum())
        return starts[episode] + generator.integers(windows[episode])

    def _rows(self, ids: np.ndarray, length: int) -> np.ndarray:
        return np.asarray(ids)[..., None] + np.arange(length)

    def gather(self, ids: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Raw observations [..., H, o] and actions as sampled [..., H, a] of segments."""
        rows = self._rows(ids, length)
        return self._observations[rows], self._actions[rows]

    def true_rewards(self, ids: np.ndarray, length: int) -> np.ndarray:
        """True rewards float64 [..., H] of segments; for teachers and measurements only."""
        return self._rewards[self._rows(ids, length)]

    def returns(self, ids: np.ndarray, length: int) -> np.ndarray:
        """True returns float64 [...] of segments; for teachers and measurements only."""
        return self.true_rewards(ids, length).sum(-1)


@dataclass(frozen=True)
class Segments:
    """Raw observations [n, H, o] of segments, gathered only when indexed."""

    store: SegmentStore
    ids: np.ndarray
    length: int

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        return self.store.gather(self.ids[part], self.length)[0]
