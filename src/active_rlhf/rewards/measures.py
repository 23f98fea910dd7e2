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


def calibration_error(probability: np.ndarray, preference: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017, eq. 3) of P(first) [n]; NaN without answers.

    The confidence of a prediction is the probability of the likelier answer, in 0.5 to 1. In each
    of `bins` equal intervals of it, mean confidence is compared with the share of right answers;
    the result is the mean absolute difference over untied pairs.
    """
    untied = preference != 0.5
    p, first = probability[untied], preference[untied] > 0.5
    if not len(p):
        return float("nan")
    confidence, right = np.maximum(p, 1 - p), (p > 0.5) == first
    interval = np.minimum((2 * bins * (confidence - 0.5)).astype(int), bins - 1)
    excess = np.bincount(interval, confidence - right, bins)  # the sum in each interval
    return float(np.abs(excess).sum() / len(p))


def rank_correlation(predicted: np.ndarray, true: np.ndarray) -> float:
    """Spearman's rho of predicted and true returns [n]; NaN where one of them is constant.

    As scipy's, whose statistics take longer to import than all measurements of a run.
    """
    if np.ptp(predicted) == 0 or np.ptp(true) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(predicted), _ranks(true))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])
