"""Entropy of the mean theta minus mean entropy: what the answer tells about the members."""

import numpy as np

from active_rlhf.selection.scores import binary_entropy, probabilities


def score(differences: np.ndarray) -> np.ndarray:
    theta = probabilities(differences)
    mutual = binary_entropy(theta.mean(axis=0)) - binary_entropy(theta).mean(axis=0)
    return np.maximum(mutual, 0)  # rounding
