"""Which candidate pairs stay in play before the picker chooses."""

import numpy as np


def consensual(differences: np.ndarray) -> np.ndarray:
    """Pairs, bool [m], whose members' interval of theta contains 1/2 (DUO, Feng et al. 2025).

    That is: not all members agree on which segment is better. `differences` [E, m] as in scores.
    """
    return (differences.min(axis=0) <= 0) & (differences.max(axis=0) >= 0)


def shortlist(
    scores: np.ndarray, passing: np.ndarray | None, keep: float | None, batch: int
) -> np.ndarray:
    """Indices, ascending, of the pairs that stay: the best `keep` of those `passing` the filter.

    Never fewer than `batch`: if too few pass, the best of the others by score come in; a share
    `keep` that leaves too few is raised. Equal scores go to the lower index.
    """
    order = np.argsort(-scores, kind="stable")
    if passing is not None:
        order = order[np.argsort(~passing[order], kind="stable")]
        order = order[: max(batch, int(passing.sum()))]
    if keep is not None:
        order = order[: max(batch, int(np.ceil(keep * len(order))))]
    return np.sort(order)
