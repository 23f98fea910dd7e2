import numpy as np

from active_rlhf.parts import score
from active_rlhf.selection.pairs import Pairs
from active_rlhf.selection.scores import binary_entropy, probabilities


@score
def entropy(pairs: Pairs) -> np.ndarray:
    """Mean entropy of the members' answers."""
    return np.asarray(binary_entropy(probabilities(pairs.differences)).mean(axis=0))
