"""Measures of a reward model's predictions."""

import numpy as np


def first_preferred(member_rewards: np.ndarray) -> np.ndarray:
    """P(first preferred) of each member, float64 [E, n], from rewards [E, n, 2, H].

    The Bradley-Terry model of Christiano et al. 2017, eq. 1: sigmoid(R(first) - R(second)).
    """
    returns = member_rewards.sum(-1, dtype=np.float64)
    return sigmoid(returns[..., 0] - returns[..., 1])


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + np.exp(np.clip(-x, -500, 500)))


def cross_entropy(probability: np.ndarray, preference: np.ndarray) -> float:
    """Mean cross-entropy of predicted P(first) [n] against answers [n]; NaN without any."""
    if not len(preference):
        return float("nan")
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return float(-(preference * np.log(p) + (1 - preference) * np.log(1 - p)).mean())


def accuracy(probability: np.ndarray, preference: np.ndarray) -> float:
    """Share of untied answers that the predicted P(first) [n] gets right; NaN without any."""
    untied = preference != 0.5
    if not untied.any():
        return float("nan")
    return float(((probability > 0.5) == (preference > 0.5))[untied].mean())


def correlation(predicted: np.ndarray, true: np.ndarray) -> float:
    """Pearson's r of predicted and true returns [n]; NaN where one of them is constant."""
    if np.ptp(predicted) == 0 or np.ptp(true) == 0:
        return float("nan")
    return float(np.corrcoef(predicted, true)[0, 1])
