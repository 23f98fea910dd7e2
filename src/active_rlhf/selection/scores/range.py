"""max_e theta - min_e theta."""

import numpy as np

from active_rlhf.selection.scores import probabilities


def score(differences: np.ndarray) -> np.ndarray:
    return np.ptp(probabilities(differences), axis=0)
