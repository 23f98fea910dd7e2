"""Diversity of what is predicted (DUO, Feng et al. 2025)."""

import numpy as np

from active_rlhf.parts import picker
from active_rlhf.selection import clusters
from active_rlhf.selection.pairs import Pairs, by_score, filled


@picker
def kmeans(pool: Pairs, batch: int, generator: np.random.Generator) -> np.ndarray:
    """One pair of each cluster of predicted per-step reward differences.

    The member nearest to the centre of each of `batch` clusters; empty clusters by score.
    """
    points = pool.step_differences
    centres, label = clusters.kmeans(points, batch, generator)
    distance = np.linalg.norm(points - centres[label], axis=1)
    order = np.lexsort((distance, label))
    _, first = np.unique(label[order], return_index=True)
    return filled(order[first], by_score(pool), batch)
