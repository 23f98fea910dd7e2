"""Scores of candidate pairs: how much the reward ensemble's members disagree or doubt.

Each is a file of this folder, named as a study names it, with a function `score` that takes the
members' predicted return differences dR [E, m] (first minus second segment) and gives [m], larger
for pairs more worth asking about. A member's probability that the first segment is preferred is
theta = sigmoid(dR); entropies are in nats.
"""

from collections.abc import Callable

import numpy as np

from active_rlhf.study.parts import load

# scipy is imported where it is used: reading a configuration needs the names of scores only.


def probabilities(differences: np.ndarray) -> np.ndarray:
    """theta [E, m]."""
    from scipy.special import expit

    return expit(differences)


def binary_entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy of a yes-or-no answer with this probability of yes."""
    from scipy.special import entr

    return entr(probability) + entr(1 - probability)


SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = load("score", "score")
