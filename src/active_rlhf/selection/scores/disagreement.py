import numpy as np

from active_rlhf.parts import score
from active_rlhf.selection.pairs import Pairs
from active_rlhf.selection.scores import probabilities


@score
def disagreement(pairs: Pairs) -> np.ndarray:
    """Standard deviation of the members' theta."""
    return np.asarray(probabilities(pairs.differences).std(axis=0))
