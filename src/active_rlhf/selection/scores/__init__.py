"""Scores of candidate pairs: how much the reward model's members disagree or doubt.

Each is a file of this folder with the decorator `@score`. It is called with `Pairs` and gives
finite numbers [m], larger for pairs that are more worth asking about. Most look at the members'
predicted return differences dR [E, m] (first minus second segment). A member's probability that the
first segment is preferred is theta = sigmoid(dR); entropies are in nats.
"""

import numpy as np

# scipy is imported where it is used: reading a configuration needs only the names of scores.


def probabilities(differences: np.ndarray) -> np.ndarray:
    """theta [E, m]."""
    from scipy.special import expit

    theta: np.ndarray = expit(differences)
    return theta


def binary_entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy of a yes-or-no answer with this probability of yes."""
    from scipy.special import entr

    entropy: np.ndarray = entr(probability) + entr(1 - probability)
    return entropy
