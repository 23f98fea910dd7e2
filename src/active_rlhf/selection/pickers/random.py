"""A uniform draw without replacement."""

import numpy as np

from active_rlhf.selection.pool import Picker, Pool


def pick(pool: Pool, batch: int, generator: np.random.Generator) -> np.ndarray:
    return generator.choice(len(pool.scores), size=batch, replace=False)


PICKER = Picker(pick)
