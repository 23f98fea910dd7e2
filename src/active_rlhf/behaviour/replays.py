"""What it takes to repeat the episodes that segments lie in: their origins, and their actions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from active_rlhf.behaviour.store import SegmentStore


@dataclass(frozen=True)
class Replays:
    """The beginnings of k episodes, each up to the end of the last segment that is needed.

    episodes int64 [...]: in which of them each segment lies; starts, steps int64 [k]: their first
    row in the store, and how many there are; actions [sum of steps, ...] as sampled; origins [k]:
    each as JSON, null for the run's first episode.
    """

    episodes: np.ndarray
    starts: np.ndarray
    steps: np.ndarray
    actions: np.ndarray
    origins: np.ndarray

    @classmethod
    def of(cls, store: SegmentStore, ids: np.ndarray, length: int) -> "Replays":
        """For the segments `ids` [...] of a store."""
        begun, _, _ = store.episodes()
        used, episodes = np.unique(store.episodes_of(ids), return_inverse=True)
        starts, steps = begun[used], np.zeros(len(used), np.int64)
        np.maximum.at(steps, episodes.ravel(), ids.ravel() + length - starts[episodes.ravel()])
        rows = [np.arange(first, first + n) for first, n in zip(starts, steps, strict=True)]
        origins = store.origins
        return cls(
            episodes=episodes.reshape(ids.shape),
            starts=starts,
            steps=steps,
            actions=store.actions[np.concatenate(rows)],
            origins=np.array([json.dumps(origins[k], default=np.ndarray.tolist) for k in used]),
        )

    @classmethod
    def read(cls, arrays: Mapping[str, np.ndarray]) -> "Replays | None":
        """From what `arrays` gave, among others; None if it is not there."""
        names = [f"replay_{name}" for name in cls.__dataclass_fields__]
        return cls(*(arrays[n] for n in names)) if names[0] in arrays else None

    def arrays(self) -> dict[str, np.ndarray]:
        """By name, to be saved with the segments."""
        return {f"replay_{name}": getattr(self, name) for name in self.__dataclass_fields__}

    def episode(self, k: int) -> tuple[Mapping[str, Any] | None, np.ndarray]:
        """The origin and the actions of one of the episodes."""
        first = int(self.steps[:k].sum())
        return json.loads(str(self.origins[k])), self.actions[first : first + int(self.steps[k])]
