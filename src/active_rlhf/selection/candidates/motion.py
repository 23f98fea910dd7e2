"""Pairs of segments that move much, and differently (after SENIOR, Ni et al. 2025)."""

from typing import Annotated

import numpy as np

from active_rlhf.parts import candidates
from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.selection.candidates.recent import Episodes, recent_weights
from active_rlhf.selection.context import Context
from active_rlhf.study.sections import setting

CHUNK = 256  # pairs of segments compared at once


@candidates
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
    own = overlaps(states, states, bandwidth)
    order = np.argsort(own[index].max(axis=1), kind="stable")
    stay = np.sort(order[: max(count, int(np.ceil(moving * len(pairs))))])
    first, second = index[stay].T
    shared = overlaps(states[first], states[second], bandwidth) / np.sqrt(own[first] * own[second])
    return pairs[np.sort(stay[np.argsort(shared, kind="stable")[:count]])]


def scaled(states: np.ndarray) -> tuple[np.ndarray, float]:
    """States [n, H, o] with mean 0 and sd 1 over all of them, without constant ones, and Scott's
    bandwidth for the H states of a segment: H^(-1 / (d + 4)) in d dimensions."""
    flat = states.reshape(-1, states.shape[-1])
    mean, sd = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
    vary = sd > 0
    bandwidth = states.shape[1] ** (-1 / (int(vary.sum()) + 4))
    return ((states[..., vary] - mean[vary]) / sd[vary]).astype(np.float32), bandwidth


def overlaps(first: np.ndarray, second: np.ndarray, bandwidth: float) -> np.ndarray:
    """V [n] for states [n, H, d] of two segments each: the mean over all pairs of their states of
    exp(-|x - y|^2 / (2 bandwidth^2))."""
    found = np.empty(len(first))
    for begin in range(0, len(first), CHUNK):
        x, y = (a[begin : begin + CHUNK].astype(np.float64) for a in (first, second))
        square = (x * x).sum(-1)[:, :, None] + (y * y).sum(-1)[:, None] - 2 * x @ y.mT
        kernel = np.exp(-np.maximum(square, 0) / (2 * bandwidth**2))
        found[begin : begin + CHUNK] = kernel.mean(axis=(1, 2))
    return found
