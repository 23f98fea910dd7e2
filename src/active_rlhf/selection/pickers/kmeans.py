"""One pair of each cluster of predicted per-step reward differences (DUO, Feng et al. 2025)."""

import numpy as np

from active_rlhf.selection.clusters import kmeans
from active_rlhf.selection.pool import Picker, Pool, by_score, filled


def pick(pool: Pool, batch: int, generator: np.random.Generator) -> np.ndarray:
    """The member nearest to the centre of each of `batch` clusters; empty clusters by score."""
    points = pool.differences
    assert points is not None
    centres, label = kmeans(points, batch, generator)
    distance = np.linalg.norm(points - centres[label], axis=1)
    order = np.lexsort((distance, label))
    _, first = np.unique(label[order], return_index=True)
    return filled(order[first], by_score(pool), batch)


PICKER = Picker(pick, needs=frozenset({"differences"}))
