"""Scores of candidate pairs: how much the reward ensemble's members disagree or doubt.

Each takes the members' predicted return differences dR [E, m] (first minus second segment) and
gives [m], larger for pairs more worth asking about. A member's probability that the first segment
is preferred is theta = sigmoid(dR); entropies are in nats.
"""

from collections.abc import Callable

import numpy as np

# scipy is imported where it is used: reading a configuration needs the names of scores only.


def _theta(differences: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return expit(differences)


def _binary_entropy(probability: np.ndarray) -> np.ndarray:
    from scipy.special import entr

    return entr(probability) + entr(1 - probability)


def probability_range(differences: np.ndarray) -> np.ndarray:
    """max_e theta - min_e theta."""
    return np.ptp(_theta(differences), axis=0)


def disagreement(differences: np.ndarray) -> np.ndarray:
    """sd_e theta."""
    return _theta(differences).std(axis=0)


def entropy(differences: np.ndarray) -> np.ndarray:
    """Mean over members of the entropy of their answer."""
    return _binary_entropy(_theta(differences)).mean(axis=0)


def bald(differences: np.ndarray) -> np.ndarray:
    """Entropy of the mean theta minus mean entropy: what the answer tells about the members."""
    theta = _theta(differences)
    mutual = _binary_entropy(theta.mean(axis=0)) - _binary_entropy(theta).mean(axis=0)
    return np.maximum(mutual, 0)  # rounding


def return_variance(differences: np.ndarray) -> np.ndarray:
    """Var_e dR."""
    return differences.var(axis=0)


def vote(differences: np.ndarray) -> np.ndarray:
    """p (1 - p), with p the share of members that prefer the first segment."""
    share = (differences > 0).mean(axis=0)
    return share * (1 - share)


SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "range": probability_range,
    "disagreement": disagreement,
    "entropy": entropy,
    "bald": bald,
    "return_variance": return_variance,
    "vote": vote,
}
