"""Farthest-first traversal from the pairs asked so far (Sener and Savarese 2018; B-Pref)."""

from typing import Annotated

import numpy as np

from active_rlhf.parts import picker
from active_rlhf.selection.pairs import Pairs, by_score
from active_rlhf.study.sections import setting


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Between pairs [m, 2, d] and [l, 2, d]: [m, l], independent of the order of members.

    The smaller of |a - c|^2 + |b - d|^2 and |a - d|^2 + |b - c|^2 for pairs (a, b) and (c, d):
    the distance under the better of the two ways to match their members.
    """
    x, y = (pairs.reshape(-1, pairs.shape[-1]).astype(np.float64) for pairs in (first, second))
    square = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T
    square = np.maximum(square, 0).reshape(len(first), 2, len(second), 2)
    straight = square[:, 0, :, 0] + square[:, 1, :, 1]
    crossed = square[:, 0, :, 1] + square[:, 1, :, 0]
    return np.asarray(np.minimum(straight, crossed))


@picker(flat=True)
def k_center(
    pool: Pairs,
    batch: int,
    generator: np.random.Generator,
    *,
    actions: Annotated[
        bool,
        setting(
            ...,
            "also use actions for distances, not only observations as in B-Pref",
            unit="`true`, `false`",
        ),
    ] = False,
) -> np.ndarray:
    """Repeatedly the pair farthest from all pairs asked or chosen so far.

    Starts with the best score if nothing was asked yet.
    """
    points, labelled = pool.points, pool.labelled_points
    if actions:
        points = np.concatenate([points, pool.action_points], axis=-1)
        labelled = np.concatenate([labelled, pool.labelled_action_points], axis=-1)
    between = squared_distances(points, points)
    nearest = squared_distances(points, labelled).min(axis=1, initial=np.inf)
    chosen = np.empty(batch, np.int64)
    for i in range(batch):
        none_yet = i == 0 and not len(labelled)
        chosen[i] = by_score(pool)[0] if none_yet else np.argmax(nearest)
        nearest = np.minimum(nearest, between[chosen[i]])
        nearest[chosen[i]] = -1
    return chosen
