"""Adam, and the limit on a gradient's norm, compiled; the optimiser of every network here."""

import numpy as np

from active_rlhf.compute.compilation import compiled

_F = np.float32
_ONE = _F(1)


@compiled
def clip_gradient(grad, max_norm):
    norm = np.sqrt(np.dot(grad, grad))
    if norm > max_norm:
        grad *= _F(max_norm / (norm + 1e-6))
    return norm


@compiled
def adam(theta, grad, first, second, step, learning_rate, epsilon):
    """One Adam step in place (Kingma & Ba 2015, algorithm 1, betas .9 and .999)."""
    b1, b2 = _F(0.9), _F(0.999)
    rate = _F(learning_rate / (1.0 - 0.9**step))
    scale = _F(1.0 / np.sqrt(1.0 - 0.999**step))
    eps = _F(epsilon)
    for i in range(theta.size):
        first[i] = b1 * first[i] + (_ONE - b1) * grad[i]
        second[i] = b2 * second[i] + (_ONE - b2) * grad[i] * grad[i]
        theta[i] -= rate * first[i] / (np.sqrt(second[i]) * scale + eps)
