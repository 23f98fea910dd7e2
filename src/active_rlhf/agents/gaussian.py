"""Actions drawn from independent normals: the density of a Gaussian policy's actions."""

import numpy as np

from active_rlhf.compute.compilation import compiled

_F = np.float32
LOG_2PI = _F(np.log(2 * np.pi))


@compiled
def log_probabilities(means, log_std, actions):
    """Log density [n] of `actions` [n, a] under independent normals."""
    out = np.empty(means.shape[0], np.float32)
    for i in range(means.shape[0]):
        total = _F(0)
        for j in range(log_std.size):
            z = (actions[i, j] - means[i, j]) * np.exp(-log_std[j])
            total -= _F(0.5) * (z * z + LOG_2PI) + log_std[j]
        out[i] = total
    return out
