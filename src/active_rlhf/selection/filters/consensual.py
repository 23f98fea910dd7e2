"""Pairs on which the members disagree (DUO, Feng et al. 2025)."""

from typing import Annotated

import numpy as np

from active_rlhf.parts import filter
from active_rlhf.selection.pairs import Pairs
from active_rlhf.study.sections import setting


@filter
def consensual(
    pairs: Pairs,
    *,
    train_accuracy: Annotated[
        float,
        setting(
            ...,
            "accuracy of the reward model on its training labels above which pairs are filtered",
            unit="share",
            ge=0,
            le=1,
        ),
    ] = 0.8,
) -> np.ndarray | None:
    """Pairs on which not all members agree, once the reward model is accurate."""
    if pairs.train_accuracy is None or pairs.train_accuracy <= train_accuracy:
        return None
    return undecided(pairs.differences)


def undecided(differences: np.ndarray) -> np.ndarray:
    """Pairs, bool [m], whose members' interval of theta contains 1/2.

    That is: not all members agree on which segment is better. `differences` [E, m].
    """
    return np.asarray((differences.min(axis=0) <= 0) & (differences.max(axis=0) >= 0))
