"""What a picker is given, and what it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Range = tuple[float, float, float]
"""Default, lowest and highest value of a setting; whole numbers if the default is one."""


@dataclass(frozen=True)
class Pool:
    """The m candidate pairs still in play. Fields that the picker does not need are None."""

    scores: np.ndarray
    """[m], larger is better; all zero without a score."""
    differences: np.ndarray | None = None
    """[m, H] predicted per-step reward of the first minus the second segment: mean over members,
    each scaled to unit sd over the pool so that none dominates."""
    latents: np.ndarray | None = None
    """[m, 2, z] of the segments, standardised over the pool."""
    segments: np.ndarray | None = None
    """[m, 2, d] the segments' steps (observation, action), standardised over the pool, in a row."""
    asked: np.ndarray | None = None
    """[l, 2, d] the same of the pairs asked in earlier sessions."""


@dataclass(frozen=True)
class Picker:
    """`pick(pool, batch, generator, **settings)` gives `batch` distinct indices into the pool."""

    pick: Callable[..., np.ndarray]
    needs: frozenset[str] = frozenset()
    """Of `differences`, `latents`, `segments`."""
    settings: Mapping[str, Range] = field(default_factory=dict)


def by_score(pool: Pool) -> np.ndarray:
    """Indices from the best score to the worst, equal ones in order."""
    return np.argsort(-pool.scores, kind="stable")


def filled(chosen: np.ndarray, order: np.ndarray, batch: int) -> np.ndarray:
    """`chosen`, then as many others in the given order as make it `batch`."""
    return np.concatenate([chosen, order[~np.isin(order, chosen)]])[:batch].astype(np.int64)
