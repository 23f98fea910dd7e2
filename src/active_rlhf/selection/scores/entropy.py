"""Mean over members of the entropy of their answer."""

import numpy as np

from active_rlhf.selection.scores import binary_entropy, probabilities


def score(differences: np.ndarray) -> np.ndarray:
    return binary_entropy(probabilities(differences)).mean(axis=0)
