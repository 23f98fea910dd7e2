import numpy as np

from active_rlhf.parts import picker
from active_rlhf.selection.pairs import Pairs, by_score


@picker
def top(pool: Pairs, batch: int, generator: np.random.Generator) -> np.ndarray:
    """The pairs with the best scores."""
    return by_score(pool)[:batch]
