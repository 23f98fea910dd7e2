import numpy as np

from active_rlhf.parts import score
from active_rlhf.selection.pairs import Pairs
from active_rlhf.selection.scores import binary_entropy, probabilities


@score
def bald(pairs: Pairs) -> np.ndarray:
    """Entropy of the mean theta minus mean entropy: information in the answer about the members."""
    theta = probabilities(pairs.differences)
    mutual = binary_entropy(theta.mean(axis=0)) - binary_entropy(theta).mean(axis=0)
    return np.asarray(np.maximum(mutual, 0))  # rounding
