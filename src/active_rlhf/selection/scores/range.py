import numpy as np

from active_rlhf.parts import score
from active_rlhf.selection.pairs import Pairs
from active_rlhf.selection.scores import probabilities


@score
def range(pairs: Pairs) -> np.ndarray:
    """Widest range: max_e theta - min_e theta."""
    return np.asarray(np.ptp(probabilities(pairs.differences), axis=0))
