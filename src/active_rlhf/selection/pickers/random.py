import numpy as np

from active_rlhf.parts import picker
from active_rlhf.selection.pairs import Pairs


@picker
def random(pool: Pairs, batch: int, generator: np.random.Generator) -> np.ndarray:
    """A uniform draw without replacement."""
    return generator.choice(len(pool), size=batch, replace=False)
