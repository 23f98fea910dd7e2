"""Everything the policy did, raw, and the segments cut from it.

A segment is H consecutive steps inside one episode, named by the global index of its first step.
Observations are kept as the environment gave them: whoever scores old behaviour normalises it with
today's statistics. True rewards are kept for teachers and measurements only.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from active_rlhf.behaviour.rows import SparseRows
from active_rlhf.tasks.rollout import Rollout

CHUNK = 1 << 14  # steps in a piece of `SegmentStore.rows`


class SegmentStore:
    """All steps of a run in time order. `capacity` is the number of steps the run will take."""

    def __init__(self, capacity: int, low: np.ndarray, high: np.ndarray, observations: int):
        self.low, self.high = low, high
        # Pages are only taken from the system as they are written.
        self._observations = SparseRows(capacity, observations)
        self._actions = np.empty((capacity, low.size), np.float32)
        self._rewards = np.empty(capacity)
        self._starts = [0]
        self.steps = 0

    @property
    def observations(self) -> SparseRows:
        """Raw observations, float32 [steps, o] to be had in slices."""
        return self._observations

    @property
    def actions(self) -> np.ndarray:
        """Actions as sampled from the policy, before clipping, float32 [steps, a]."""
        return self._actions[: self.steps]

    @property
    def rewards(self) -> np.ndarray:
        """True rewards, float64 [steps]."""
        return self._rewards[: self.steps]

    def append(self, rollout: Rollout) -> None:
        """Add a rollout, which continues the episode that the last one left open."""
        begin, end = self.steps, self.steps + len(rollout.rewards)
        if end > len(self._rewards):
            raise ValueError(f"store of {len(self._rewards)} steps cannot take step {end}")
        self._observations.append(rollout.observations)
        self._actions[begin:end] = rollout.actions
        self._rewards[begin:end] = rollout.rewards
        self._starts.extend((begin + 1 + np.flatnonzero(rollout.ended)).tolist())
        self.steps = end

    @property
    def row(self) -> np.dtype:
        """The type of a step in `rows`."""
        observation = ("observation", np.float32, (self._observations.columns,))
        action = ("action", np.float32, self._actions.shape[1:])
        return np.dtype([observation, action, ("reward", np.float64), ("ended", np.bool_)])

    def rows(self, begin: int) -> Iterator[np.ndarray]:
        """All that is known of the steps from `begin` on, in pieces, for `extend`."""
        ends = np.asarray(self._starts[1:], np.int64) - 1
        for first in range(begin, self.steps, CHUNK):
            part = slice(first, min(first + CHUNK, self.steps))
            rows = np.zeros(part.stop - part.start, self.row)
            rows["observation"] = self._observations[part]
            rows["action"] = self._actions[part]
            rows["reward"] = self._rewards[part]
            rows["ended"][ends[(ends >= part.start) & (ends < part.stop)] - first] = True
            yield rows

    def extend(self, rows: np.ndarray) -> None:
        """Add steps as `rows` gave them."""
        part = slice(self.steps, self.steps + len(rows))
        self._observations.append(rows["observation"])
        self._actions[part] = rows["action"]
        self._rewards[part] = rows["reward"]
        self._starts.extend((self.steps + 1 + np.flatnonzero(rows["ended"])).tolist())
        self.steps = part.stop

    def episodes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts, lengths (int64 [k]) and whether finished (bool [k]), in time order.

        The last episode may be under way; an episode of which nothing was seen is not listed.
        """
        starts = np.asarray(self._starts, np.int64)
        lengths = np.diff(np.append(starts, self.steps))
        finished = np.ones(len(starts), bool)
        finished[-1] = False
        seen = lengths > 0
        return starts[seen], lengths[seen], finished[seen]

    def draw(
        self,
        generator: np.random.Generator,
        count: int,
        length: int,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Ids (int64 [count]) of segments of `length` steps, drawn with replacement.

        Uniform over all windows inside one episode, finished or not; or, with `weights` [k], an
        episode by its weight and then uniform over its windows. Episodes shorter than `length`
        are never drawn. Raises ValueError if no episode is long enough.
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

    def executed(self, ids: np.ndarray, length: int) -> np.ndarray:
        """Actions [..., H, a] of segments as the environment took them: clipped to its bounds."""
        return np.clip(self._actions[self._rows(ids, length)], self.low, self.high)

    def true_rewards(self, ids: np.ndarray, length: int) -> np.ndarray:
        """True rewards float64 [..., H] of segments; for teachers and measurements only."""
        return self._rewards[self._rows(ids, length)]

    def returns(self, ids: np.ndarray, length: int) -> np.ndarray:
        """True returns float64 [...] of segments; for teachers and measurements only."""
        return self.true_rewards(ids, length).sum(-1)


@dataclass(frozen=True)
class Segments:
    """Raw observations [n, H, o] of segments, which are gathered when indexed."""

    store: SegmentStore
    ids: np.ndarray
    length: int

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        return self.store.gather(self.ids[part], self.length)[0]
