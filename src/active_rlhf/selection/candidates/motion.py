"""Pairs of segments that move much, and differently (after SENIOR, Ni et al. 2025)."""

from typing import Annotated

import numpy as np

from active_rlhf.parts import candidates
from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.selection.candidates.recent import Episodes, recent_weights
from active_rlhf.selection.context import Context
from active_rlhf.study.sections import setting

CHUNK = 256  # pairs of segments compared at once


@candidates(flat=True)
def motion(
    context: Context,
    count: int,
    generator: np.random.Generator,
    *,
    episodes: Episodes = 100,
    drawn: Annotated[
        int, setting(..., "pairs drawn for each that is kept", unit="pairs", ge=1, le=1000)
    ] = 10,
    moving: Annotated[
        float,
        setting(
            ...,
            "share of the drawn pairs, those with most motion, of which the most different stay",
            unit="share",
            gt=0,
            le=1,
        ),
    ] = 0.5,
) -> np.ndarray:
    """Pairs of segments with much motion, and with distinct motion (SENIOR).

    After motion-distinction-based selection (Ni et al. 2025): the density of a segment's states is
    estimated by a Gaussian kernel. V(a, b), the mean of the kernel over all pairs of a state of a
    and one of b, is the overlap of two densities. The more a segment moves, the smaller V(a, a). Of
    independently drawn pairs of the latest episodes, those stay whose larger V(a, a) is small, and
    of these the `count` with the smallest V(a, b) / sqrt(V(a, a) V(b, b)).
    """
    store, length = context.store, context.segment_length
    weights = recent_weights(store, length, episodes)
    pairs = independent_pairs(store, length, count * drawn, weights, generator)
    ids, index = np.unique(pairs, return_inverse=True)
    index = index.reshape(pairs.shape)
    states, bandwidth = scaled(context.segments(ids)[0])
    every = np.arange(len(ids))
    own = overlaps(states, every, every, bandwidth)
    order = np.argsort(own[index].max(axis=1), kind="stable")
    stay = np.sort(order[: max(count, int(np.ceil(moving * len(pairs))))])
    first, second = index[stay].T
    shared = overlaps(states, first, second, bandwidth) / np.sqrt(own[first] * own[second])
    return np.asarray(pairs[np.sort(stay[np.argsort(shared, kind="stable")[:count]])])


def scaled(states: np.ndarray) -> tuple[np.ndarray, float]:
    """States [n, H, d] with mean 0 and sd 1 over all of them, float32, without those that never
    change, and Scott's bandwidth for the H states of a segment: H^(-1 / (d + 4))."""
    mean = states.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    moved = np.subtract(states, mean, dtype=np.float32)
    sd = np.sqrt(np.einsum("nhj,nhj->j", moved, moved, dtype=np.float64) / moved[..., 0].size)
    vary = sd > 0
    if not vary.all():
        moved = moved[..., vary]
    moved /= sd[vary].astype(np.float32)
    return moved, float(states.shape[1] ** (-1 / (moved.shape[-1] + 4)))


def overlaps(
    states: np.ndarray, first: np.ndarray, second: np.ndarray, bandwidth: float
) -> np.ndarray:
    """V [m] between the segments `first` [m] and `second` [m] of those with states [n, H, d]: the
    mean over all pairs of their states of exp(-|x - y|^2 / (2 bandwidth^2))."""
    found = np.empty(len(first))
    for begin in range(0, len(first), CHUNK):
        part = slice(begin, begin + CHUNK)
        x, y = (states[of[part]].astype(np.float64) for of in (first, second))
        square = (x * x).sum(-1)[:, :, None] + (y * y).sum(-1)[:, None] - 2 * x @ y.mT
        kernel = np.exp(-np.maximum(square, 0) / (2 * bandwidth**2))
        found[part] = kernel.mean(axis=(1, 2))
    return found
