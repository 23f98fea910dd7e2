"""Most information about the reward networks' last layers (Shen, Sun and Ton 2025)."""

from typing import Annotated

import numpy as np

from active_rlhf.parts import picker
from active_rlhf.selection.pairs import Pairs, by_score
from active_rlhf.study.sections import setting


def root_information(features: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """sqrt(p (1 - p)) d, float64 [E, m, k]: its outer product with itself is a pair's information.

    d is the difference of the segments' `features` [E, m, 2, k], and p = sigmoid of the predicted
    return `differences` [E, m].
    """
    from scipy.special import expit  # slow to import

    root = np.sqrt(expit(differences) * expit(-differences))
    return np.asarray(root[..., None] * (features[:, :, 0] - features[:, :, 1]))


def greedy_log_det(new: np.ndarray, old: np.ndarray, prior: float, batch: int) -> np.ndarray:
    """`batch` indices, each the one that increases the mean over members of log det A_e most.

    A_e = c_e I + sum of v v^T over the rows v of old [E, l, k] and the chosen rows of new
    [E, m, k]; c_e is `prior` times the mean of |v|^2 / k over the rows of new. Ties go to the lower
    index. In coordinates in which A_e is the identity before the first choice, log det grows by
    log(1 + |u|^2), and each choice removes its direction from what the others add.
    """
    from scipy.linalg import solve_triangular  # slow to import

    members, m, k = new.shape
    white = np.empty((members, k, m))
    for e, (rows, before) in enumerate(zip(new, old, strict=True)):
        start = prior * float((rows * rows).sum()) / rows.size or 1.0
        factor = np.linalg.cholesky(start * np.eye(k) + before.T @ before)
        white[e] = solve_triangular(factor, rows.T, lower=True)
    gain = (white * white).sum(axis=1)  # [E, m]
    removed = np.zeros((batch, members, m))
    chosen = np.empty(batch, np.int64)
    free = np.zeros(m)
    for i in range(batch):
        best = chosen[i] = int(np.argmax(np.log1p(np.maximum(gain, 0)).mean(axis=0) + free))
        free[best] = -np.inf
        along = (white * white[:, :, best, None]).sum(axis=1)
        along -= (removed[:i] * removed[:i, :, best, None]).sum(axis=0)
        removed[i] = along / np.sqrt(1 + np.maximum(gain[:, best, None], 0))
        gain = gain - removed[i] ** 2
    return chosen


@picker(features=True)
def d_optimal(
    pool: Pairs,
    batch: int,
    generator: np.random.Generator,
    *,
    prior: Annotated[
        float,
        setting(
            ...,
            "information on each weight before any answer, in units of what a candidate adds on "
            "average",
            unit="pairs",
            ge=1e-6,
            le=1e6,
        ),
    ] = 1.0,
    past: Annotated[
        bool,
        setting(..., "count the pairs answered so far as known", unit="`true`, `false`"),
    ] = True,
) -> np.ndarray:
    """Most information about the last layers of the reward networks: greedy D-optimal design.

    A member's predicted return is linear in its last hidden units, so its answers follow a logistic
    regression on their differences d, whose Fisher information is the sum over pairs of
    p (1 - p) d d^T (arXiv 2502.04354). Repeatedly the pair that increases its log-determinant most,
    in the mean over members, on top of that of the pairs answered so far.
    """
    order = by_score(pool)  # of equally informative pairs, the better scored
    new = root_information(pool.features[:, order], pool.differences[:, order])
    old = new[:, :0]
    answered = np.isfinite(pool.answers)
    if past and answered.any():
        old = root_information(pool.labelled_features, pool.labelled_differences)[:, answered]
    return np.asarray(order[greedy_log_det(new, old, prior, batch)])
