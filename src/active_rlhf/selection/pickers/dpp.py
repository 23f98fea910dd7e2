"""Quality and diversity at once: a determinantal point process over pairs (the thesis's Hybrid).

L = diag(q) K diag(q) with K = (1 - beta) K_latent + beta K_reward. Both kernels are over pairs:
symmetric, positive semidefinite, with unit diagonal, and independent of the order of a pair's
members.
"""

from typing import Annotated

import numpy as np

from active_rlhf.parts import picker
from active_rlhf.selection.pairs import Pairs, filled
from active_rlhf.study.sections import setting

NOTHING_NEW = 1e-10  # share of a pair's own variance; anything less is rounding


def quality(scores: np.ndarray, q_min: float, temperature: float) -> np.ndarray:
    """q [m] in [q_min, 1]: q_min + (1 - q_min) u^(1/temperature), u the min-max-scaled score."""
    span = np.ptp(scores)
    u = (scores - scores.min()) / span if span > 0 else np.ones(len(scores))
    return q_min + (1 - q_min) * u ** (1 / temperature)


def _rbf(points: np.ndarray) -> np.ndarray:
    """exp(-d^2 / (2 s^2)), s the median of the distances between different rows."""
    from scipy.spatial.distance import pdist, squareform  # slow to import

    square = pdist(points, "sqeuclidean")
    scale = float(np.median(square)) or 1.0
    return np.asarray(squareform(np.exp(-square / (2 * scale))) + np.eye(len(points)))


def _unit_diagonal(kernel: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.diag(kernel))
    kernel = kernel / np.outer(root, root)
    np.fill_diagonal(kernel, 1)  # exactly symmetric, or rounding would decide ties
    return kernel


def latent_kernel(latents: np.ndarray) -> np.ndarray:
    """K [m, m] for the latents [m, 2, z]: k((a,b),(c,d)) ~ k(a,c) k(b,d) + k(a,d) k(b,c)."""
    m = len(latents)
    k = _rbf(np.concatenate([latents[:, 0], latents[:, 1]]))
    return _unit_diagonal(k[:m, :m] * k[m:, m:] + k[:m, m:] * k[m:, :m])


def reward_kernel(differences: np.ndarray) -> np.ndarray:
    """K [m, m] for the reward differences D [m, H], -D if swapped: ~ k(D, D') + k(D, -D')."""
    m = len(differences)
    k = _rbf(np.concatenate([differences, -differences]))
    return _unit_diagonal(k[:m, :m] + k[:m, m:])


def greedy_map(kernel: np.ndarray, batch: int) -> np.ndarray:
    """Up to `batch` indices, each the one that increases log det of the submatrix most.

    Chen et al. 2018, algorithm 1, in O(m batch^2) with the Cholesky rows of the chosen; ties go to
    the lower index. Stops early once no index adds any volume beyond rounding.
    """
    variance = np.diag(kernel).copy()
    least = NOTHING_NEW * variance.max()
    rows = np.zeros((batch, len(kernel)))
    chosen: list[int] = []
    for i in range(batch):
        best = int(np.argmax(variance))
        if variance[best] <= least:
            break
        rows[i] = (kernel[best] - rows[:i, best] @ rows[:i]) / np.sqrt(variance[best])
        variance -= rows[i] ** 2
        variance[best] = -np.inf
        chosen.append(best)
    return np.array(chosen, np.int64)


@picker(latents=lambda settings: settings.beta != 1)  # leaving only the reward kernel
def dpp(
    pool: Pairs,
    batch: int,
    generator: np.random.Generator,
    *,
    beta: Annotated[
        float,
        setting(
            ...,
            "weight of the kernel of predicted rewards; the rest is that of latents",
            unit="weight",
            ge=0,
            le=1,
        ),
    ] = 0.5,
    q_min: Annotated[
        float,
        setting(
            ...,
            "quality of the pair with the lowest score; the best has 1",
            unit="quality",
            ge=0,
            le=1,
        ),
    ] = 0.5,
    temperature: Annotated[
        float,
        setting(
            ..., "the higher, the more similar the qualities", unit="inverse power", ge=0.01, le=100
        ),
    ] = 1.0,
) -> np.ndarray:
    """Quality and diversity at once: greedy MAP of a determinantal point process.

    Pairs that add no volume numerically are replaced by those of best quality.
    """
    kernel = reward_kernel(pool.step_differences)
    if beta != 1:
        kernel = (1 - beta) * latent_kernel(pool.latents) + beta * kernel
    q = quality(pool.scores, q_min, temperature)
    chosen = greedy_map(q[:, None] * kernel * q, batch)
    return filled(chosen, np.argsort(-q, kind="stable"), batch)
