"""Candidate pairs: the segments a selector may choose from, and how they are paired."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from active_rlhf.errors import InputError
from active_rlhf.selection.clusters import kmeans

if TYPE_CHECKING:  # checking a configuration needs no simulator
    from active_rlhf.behaviour.store import SegmentStore

CHUNK = 1 << 15  # steps looked at at once, of all that was ever done
ROUNDS = 100  # of drawing again for pairs that came out twice; only tiny stores need more than two

LogProbabilities = Callable[[np.ndarray, np.ndarray], np.ndarray]


def on_policy_weights(
    store: "SegmentStore", length: int, log_probabilities: LogProbabilities
) -> np.ndarray:
    """Weights [k] of the episodes by how likely today's policy finds them (DUO, Feng et al. 2025).

    Proportional to max(0, z-score of sum_t log pi(a_t|o_t)) over the finished episodes of at least
    `length` steps, or over all that long while none is finished; equal if every weight is zero.
    """
    starts, lengths, finished = store.episodes()
    eligible = lengths >= length
    if (eligible & finished).any():
        eligible &= finished
    if not eligible.any():
        return np.zeros(len(starts))
    last = np.flatnonzero(eligible)[-1]
    end = starts[last] + lengths[last]
    steps = np.empty(end)
    for begin in range(0, end, CHUNK):
        part = slice(begin, min(begin + CHUNK, end))
        steps[part] = log_probabilities(store.observations[part], store.actions[part])
    likelihood = np.add.reduceat(steps, starts[: last + 1])
    weights = np.zeros(len(starts))
    weights[eligible] = likelihood[eligible[: last + 1]]
    # The z-score's denominator is common to all and so drops out of a proportion.
    weights[eligible] = np.maximum(weights[eligible] - weights[eligible].mean(), 0)
    return weights if weights.any() else eligible.astype(float)


def recent_weights(store: "SegmentStore", length: int, episodes: int) -> np.ndarray:
    """Weights [k] that make all segments of the last `episodes` episodes long enough alike."""
    _, lengths, _ = store.episodes()
    windows = np.maximum(lengths - length + 1, 0)
    weights = np.zeros(len(windows))
    latest = np.flatnonzero(windows)[-episodes:]
    weights[latest] = windows[latest]
    return weights


def independent_pairs(
    store: "SegmentStore",
    length: int,
    count: int,
    weights: np.ndarray | None,
    generator: np.random.Generator,
) -> np.ndarray:
    """`count` pairs int64 [count, 2] of independently drawn distinct segments, none twice.

    A pair counts as the same in either order. Fewer come back only if there are no more.
    Raises InputError if fewer than two segments can be drawn.
    """
    _, lengths, _ = store.episodes()
    windows = np.maximum(lengths - length + 1, 0)
    available = int(windows.sum() if weights is None else windows[weights > 0].sum())
    if available < 2:
        raise InputError(
            f"labels.segment_length: no two segments of {length} steps to compare: {available} seen"
        )
    count = min(count, available * (available - 1) // 2)
    pairs = np.empty((0, 2), np.int64)
    for _ in range(ROUNDS):
        drawn = store.draw(generator, 2 * count, length, weights).reshape(-1, 2)
        pairs = _distinct(np.concatenate([pairs, drawn]))[:count]
        if len(pairs) == count:
            break
    return pairs


def _distinct(pairs: np.ndarray) -> np.ndarray:
    """Without pairs of a segment with itself and repetitions, in order of first appearance."""
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    _, first = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)
    return pairs[np.sort(first)]


def pairs_across_clusters(
    ids: np.ndarray,
    latents: np.ndarray,
    clusters: int,
    count: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Up to `count` pairs [., 2] of the segments `ids`, members in different clusters.

    `latents` [n, z], standardised, are clustered by k-means; the pairs are a uniform draw without
    replacement from all those that join two clusters (VARIQuery, Marta et al. 2023), in random
    order of members. Empty if all segments fall into one cluster.
    """
    _, label = kmeans(latents, clusters, generator)
    first, second = np.triu_indices(len(ids), 1)
    across = np.flatnonzero(label[first] != label[second])
    chosen = generator.choice(across, size=min(count, len(across)), replace=False)
    pairs = ids[np.stack([first[chosen], second[chosen]], axis=1)]
    return generator.permuted(pairs, axis=1)
