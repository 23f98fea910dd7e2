"""sd_e theta."""

import numpy as np

from active_rlhf.selection.scores import probabilities


def score(differences: np.ndarray) -> np.ndarray:
    return probabilities(differences).std(axis=0)
