"""One pair of each cluster of predicted per-step reward differences (DUO, Feng et al. 2025)."""

import warnings

import numpy as np

from active_rlhf.selection.pool import Picker, Pool, by_score, filled


def pick(pool: Pool, batch: int, generator: np.random.Generator) -> np.ndarray:
    """The member nearest to the centre of each of `batch` clusters; empty clusters by score."""
    from sklearn.cluster import KMeans  # slow to import, and most selectors never need it
    from sklearn.exceptions import ConvergenceWarning

    points = pool.differences
    assert points is not None
    model = KMeans(batch, n_init=1, random_state=int(generator.integers(2**31)))
    with warnings.catch_warnings():
        # fewer different points than clusters: some stay empty, which is provided for
        warnings.simplefilter("ignore", ConvergenceWarning)
        label = model.fit_predict(points)
    distance = np.linalg.norm(points - model.cluster_centers_[label], axis=1)
    order = np.lexsort((distance, label))
    _, first = np.unique(label[order], return_index=True)
    return filled(order[first], by_score(pool), batch)


PICKER = Picker(pick, needs=frozenset({"differences"}))
