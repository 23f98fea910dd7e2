"""Var_e dR."""

import numpy as np


def score(differences: np.ndarray) -> np.ndarray:
    return differences.var(axis=0)
