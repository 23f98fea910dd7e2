"""The pairs of best score."""

import numpy as np

from active_rlhf.selection.pool import Picker, Pool, by_score


def pick(pool: Pool, batch: int, generator: np.random.Generator) -> np.ndarray:
    return by_score(pool)[:batch]


PICKER = Picker(pick)
