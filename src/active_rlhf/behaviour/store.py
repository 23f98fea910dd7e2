"""Everything the policy did, raw, and the segments cut from it.

A segment is H consecutive steps inside one episode, named by the row of its first step.
Observations are kept as the environment gave them, so that old behaviour can be scored with current
normalisation. True rewards are only for teachers and measurements.

The steps of a run are numbered as they happen: with n environments in step, step t * n + k is the
t-th of environment k. Each environment has an equal range of rows of its own, so that episodes, and
segments, are consecutive rows. With one environment, rows are steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from active_rlhf.behaviour.rows import SparseRows
from active_rlhf.behaviour.stacks import Stacks
from active_rlhf.tasks.rollout import Rollout, stored_dtype

CHUNK, CHUNK_BYTES = 1 << 14, 1 << 26  # the largest piece of `SegmentStore.rows`: steps, bytes
MOST_STACKED = 16  # frames; more than that are something else

Origin = Mapping[str, Any] | None
"""The state of an environment's random stream at the start of an episode; None for the first
episode of one that was made from the run's seed."""

Schema = Mapping[str, tuple[tuple[int, ...], Any]]
"""The data of a step: name -> shape and dtype."""


def schema(task: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
    """The schema of a task's observations and actions."""
    spaces = {"observation": task.observation_space, "action": task.action_space}
    return {name: (space.shape, stored_dtype(space)) for name, space in spaces.items()}


def _column(capacity: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """Room for a column, written by slices. The system provides pages as they are written."""
    if len(shape) == 3 and shape[0] <= MOST_STACKED and np.dtype(dtype) == np.uint8:
        return Stacks(capacity, shape)
    if len(shape) == 1 and np.dtype(dtype) == np.float32:
        return SparseRows(capacity, shape[0])
    return np.empty((capacity, *shape), dtype)


class SegmentStore:
    """All steps of a run. `capacity` is the number of steps the run will take.

    schema: `observation` and `action`, as from `schema`. Actions are kept as sampled from the
    policy, before they are clipped to what the environment takes. lanes: environments in step,
    which must divide `capacity`; origins: of their first episodes.
    """

    def __init__(
        self,
        capacity: int,
        schema: Schema,
        lanes: int = 1,
        origins: Sequence[Origin] | None = None,
    ):
        if capacity % lanes:
            raise ValueError(f"{lanes} environments cannot take {capacity} steps in step")
        self.schema = {name: (tuple(shape), np.dtype(d)) for name, (shape, d) in schema.items()}
        self.lanes, self._room = lanes, capacity // lanes
        self._observations = _column(capacity, *self.schema["observation"])
        shape, dtype = self.schema["action"]
        self._actions = np.empty((capacity, *shape), dtype)
        self._rewards = np.empty(capacity)
        self._terminated = np.empty(capacity, bool)
        self._finished: list[tuple[int, int]] = []  # first row and length, in the order they ended
        self._open = [lane * self._room for lane in range(lanes)]  # first row of the current one
        self._origins: list[Origin] = []  # of finished episodes
        self._open_origins: list[Origin] = list(origins or [None] * lanes)
        self.finals: list[np.ndarray] = []
        """The raw observation that each finished episode ended in, in the order they ended; none
        for stacked frames."""
        self.steps = 0

    @property
    def observations(self) -> Any:
        """Raw observations [rows, ...], indexed by slices and by positions; those of stacked frames
        are `Pictures`, which are read when they are looked at."""
        return self._observations

    @property
    def pictures(self) -> Stacks | None:
        """The observations, if they are stacked frames."""
        return self._observations if isinstance(self._observations, Stacks) else None

    @property
    def actions(self) -> np.ndarray:
        """Actions as sampled from the policy [rows, ...], up to the last row written."""
        return self._actions[: self._end]

    @property
    def rewards(self) -> np.ndarray:
        """True rewards, float64 [rows], up to the last row written."""
        return self._rewards[: self._end]

    @property
    def terminated(self) -> np.ndarray:
        """Whether the task itself ended the episode, bool [rows], up to the last row written."""
        return self._terminated[: self._end]

    @property
    def at_once(self) -> int:
        """How many steps' observations to look at together: those of 64 MB, and not more than
        32,768."""
        shape, dtype = self.schema["observation"]
        each = int(np.prod(shape)) * dtype.itemsize
        return min(2 * CHUNK, 1 + CHUNK_BYTES // each)

    @property
    def _end(self) -> int:
        return (self.lanes - 1) * self._room + self.steps // self.lanes

    def regions(self) -> list[slice]:
        """The rows written so far, of each environment."""
        each = self.steps // self.lanes
        return [slice(k * self._room, k * self._room + each) for k in range(self.lanes)]

    def step_of(self, row: Any) -> Any:
        """The step of the run that is in a row, or in each of several."""
        return row % self._room * self.lanes + row // self._room

    def row_of(self, step: Any) -> Any:
        """The row that a step of the run is in, or each of several."""
        return step % self.lanes * self._room + step // self.lanes

    def append(self, rollout: Rollout) -> None:
        """Add a rollout, which continues the episodes that the previous one left open."""
        lanes, each = self.lanes, len(rollout.rewards) // self.lanes
        if rollout.lanes != lanes or self.steps % lanes:
            raise ValueError(f"a rollout of {rollout.lanes} environments for a store of {lanes}")
        begun = self.steps // lanes
        columns = (rollout.observations, rollout.actions, rollout.rewards, rollout.terminated)
        self._check_room(len(rollout.rewards))
        for lane in range(lanes):
            part = slice(lane * each, (lane + 1) * each)
            self._write(lane, begun, self._observations, *(column[part] for column in columns))
        self.steps += len(rollout.rewards)
        of, t = np.divmod(np.flatnonzero(rollout.ended), each)
        order = np.argsort(t * lanes + of, kind="stable")
        self._end_episodes((begun + t[order]) * lanes + of[order])
        for at, lane in zip(order.tolist(), of[order].tolist(), strict=True):
            if self.pictures is None:
                self.finals.append(rollout.finals[at])
            self._origins.append(self._open_origins[lane])
            self._open_origins[lane] = rollout.origins[at]

    def _check_room(self, further: int) -> None:
        if self.steps + further > len(self._rewards):
            raise ValueError(
                f"store of {len(self._rewards)} steps cannot take step {self.steps + further}"
            )

    def _write(
        self,
        lane: int,
        begun: int,
        seen: Any,
        observations: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminated: np.ndarray,
    ) -> None:
        """Write what follows the first `begun` steps of an environment; `seen` takes
        `observations`."""
        begin = lane * self._room + begun
        rows = slice(begin, begin + len(rewards))
        seen[rows] = observations
        self._actions[rows] = actions
        self._rewards[rows] = rewards
        self._terminated[rows] = terminated

    def _end_episodes(self, steps: np.ndarray) -> None:
        """Note that episodes ended with these steps, which are in ascending order."""
        for step in steps.tolist():
            lane, end = step % self.lanes, self.row_of(step) + 1
            self._finished.append((self._open[lane], end - self._open[lane]))
            self._open[lane] = end

    @property
    def _saved(self) -> Any:
        """What `rows` have of observations."""
        return self._observations if self.pictures is None else self.pictures.numbers

    @property
    def row(self) -> np.dtype:
        """The type of a step in `rows`."""
        kept: dict[str, Any] = dict(self.schema)
        if self.pictures is not None:  # the numbers of its frames, which are saved apart
            kept["observation"] = self.pictures.numbers.shape[1:], np.dtype(np.int32)
        fields = [(name, dtype, shape) for name, (shape, dtype) in kept.items()]
        known = [("reward", np.float64), ("ended", np.bool_), ("terminated", np.bool_)]
        return np.dtype([*fields, *known])

    def rows(self, begin: int) -> Iterator[np.ndarray]:
        """Everything about the steps from `begin` on, in the order of steps, for `extend`."""
        row = self.row
        seen = self._saved
        piece = min(CHUNK, 1 + CHUNK_BYTES // row.itemsize)
        finished = np.array(self._finished, np.int64).reshape(-1, 2)
        ends = self.step_of(finished.sum(1) - 1)
        for first in range(begin, self.steps, piece):
            last = min(first + piece, self.steps)
            # a slice where that is enough, as it is faster
            at = slice(first, last) if self.lanes == 1 else self.row_of(np.arange(first, last))
            rows = np.zeros(last - first, row)
            rows["observation"] = seen[at]
            rows["action"] = self._actions[at]
            rows["reward"] = self._rewards[at]
            rows["ended"][ends[(ends >= first) & (ends < last)] - first] = True
            rows["terminated"] = self._terminated[at]
            yield rows

    def extend(self, rows: np.ndarray) -> None:
        """Add steps as `rows` gave them, any number at a time."""
        self._check_room(len(rows))
        for lane in range(self.lanes):
            first = (lane - self.steps) % self.lanes
            mine = rows[first :: self.lanes]
            names = ("observation", "action", "reward", "terminated")
            begun = (self.steps + first) // self.lanes
            self._write(lane, begun, self._saved, *(mine[name] for name in names))
        self._end_episodes(self.steps + np.flatnonzero(rows["ended"]))
        self.steps += len(rows)

    def state_dict(self) -> dict[str, Any]:
        """The state that is not in `rows`, nor in the journal of `pictures`."""
        shape, dtype = self.schema["observation"]
        finals = np.array(self.finals, dtype).reshape(-1, *shape)
        state = {"finals": finals, "origins": [*self._origins, *self._open_origins]}
        return state | ({} if self.pictures is None else {"pictures": self.pictures.state_dict()})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the `state_dict` of another store, whose rows and journal this one has."""
        if self.pictures is not None:
            self.pictures.load_state_dict(state["pictures"])
        self.finals, origins = list(state["finals"]), list(state["origins"])
        self._origins = origins[: len(origins) - self.lanes]
        self._open_origins = origins[len(origins) - self.lanes :]

    def _unfinished(self) -> list[tuple[int, int, int]]:
        """Environment, first row and length of each episode that goes on, without empty ones."""
        ends = (region.stop for region in self.regions())
        found = zip(range(self.lanes), self._open, ends, strict=True)
        return [(lane, begin, end - begin) for lane, begin, end in found if end > begin]

    def episodes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First rows, lengths (int64 [k]) and whether finished (bool [k]), in time order.

        Finished ones come in the order in which they ended, then those that go on, by environment.
        An episode without steps is not listed.
        """
        going_on = [(begin, length) for _, begin, length in self._unfinished()]
        listed = np.array([*self._finished, *going_on], np.int64).reshape(-1, 2)
        finished = np.arange(len(listed)) < len(self._finished)
        return listed[:, 0], listed[:, 1], finished

    @property
    def origins(self) -> list[Origin]:
        """What each of the `episodes` started from."""
        return [*self._origins, *(self._open_origins[lane] for lane, *_ in self._unfinished())]

    def episodes_of(self, ids: np.ndarray) -> np.ndarray:
        """Which of the `episodes` each segment lies in, int64 [...]."""
        starts = self.episodes()[0]
        order = np.argsort(starts)
        found: np.ndarray = order[np.searchsorted(starts[order], ids, "right") - 1]
        return found

    def finished_episodes(self, since: int = 0) -> list[tuple[int, int]]:
        """First row and length of the finished episodes in the order in which they ended, without
        the first `since`."""
        return self._finished[since:]

    def current(self, lane: int, elapsed: int) -> slice:
        """The rows of the last `elapsed` steps of an environment."""
        end = self.regions()[lane].stop
        return slice(end - elapsed, end)

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
        """Raw observations [..., H, o] and actions as sampled [..., H, a] of segments.

        Those of stacked frames are `Pictures`.
        """
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
    """Raw observations [n, H, ...] of segments, gathered only when indexed."""

    store: SegmentStore
    ids: np.ndarray
    length: int

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        return self.store.gather(self.ids[part], self.length)[0]
