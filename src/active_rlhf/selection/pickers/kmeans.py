"""Diversity of what is predicted (DUO, Feng et al. 2025)."""

import numpy as np

from active_rlhf.parts import picker
from active_rlhf.selection import clusters
from active_rlhf.selection.pairs import Pairs, by_score, filled


def oriented(differences: np.ndarray) -> np.ndarray:
    """Step differences [m, H], negated where their sum is negative."""
    return np.where(differences.sum(axis=1, keepdims=True) < 0, -differences, differences)


@picker
def kmeans(pool: Pairs, batch: int, generator: np.random.Generator) -> np.ndarray:
    """One pair of each cluster of predicted per-step reward differences.

    The pair nearest to the centre of each of `batch` clusters; empty clusters are filled by score.
    Differences are those of the better segment minus the other, so the order of segments does not
    change which pairs are picked.
    """
    points = oriented(pool.step_differences)
    centres, label = clusters.kmeans(points, batch, generator)
    distance = np.linalg.norm(points - centres[label], axis=1)
    # In a cluster of two both are equally near, except for rounding, which must not decide.
    order = np.lexsort((np.round(distance / (distance.max() or 1), 9), label))
    _, first = np.unique(label[order], return_index=True)
    return filled(order[first], by_score(pool), batch)
