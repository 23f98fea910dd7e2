"""p (1 - p), with p the share of members that prefer the first segment."""

import numpy as np


def score(differences: np.ndarray) -> np.ndarray:
    share = (differences > 0).mean(axis=0)
    return share * (1 - share)
