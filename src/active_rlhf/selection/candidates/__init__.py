"""Candidate pairs: the segments a selector may choose from.

Each generator is a file of this folder with the decorator `@candidates`. It is called with the
session's `Context`, the number of pairs wanted and a random generator used only for candidates, and
gives ids int64 [m, 2] of distinct pairs of distinct segments, members in random order.
"""

from typing import TYPE_CHECKING

import numpy as np

from active_rlhf.errors import InputError

if TYPE_CHECKING:  # checking a configuration needs no simulator
    from active_rlhf.behaviour.store import SegmentStore

ROUNDS = 100  # of redrawing pairs that came up twice; only tiny stores need more than two


def independent_pairs(
    store: "SegmentStore",
    length: int,
    count: int,
    weights: np.ndarray | None,
    generator: np.random.Generator,
) -> np.ndarray:
    """`count` distinct pairs int64 [count, 2] of independently drawn, distinct segments.

    Pairs are the same in either order. Fewer are returned only if there are no more.
    Raises InputError if fewer than two segments can be drawn.
    """
    _, lengths, _ = store.episodes()
    each = np.maximum(lengths - length + 1, 0)
    available = _enough(int(each.sum() if weights is None else each[weights > 0].sum()), length)
    count = min(count, available * (available - 1) // 2)
    pairs = np.empty((0, 2), np.int64)
    for _ in range(ROUNDS):
        drawn = store.draw(generator, 2 * count, length, weights).reshape(-1, 2)
        pairs = _distinct(np.concatenate([pairs, drawn]))[:count]
        if len(pairs) == count:
            break
    return pairs


def windows(store: "SegmentStore", length: int, weights: np.ndarray) -> np.ndarray:
    """Ids int64 [n] of all segments of `length` steps of the episodes with `weights` above zero.

    Raises InputError if there are fewer than two.
    """
    starts, lengths, _ = store.episodes()
    each = np.where(weights > 0, np.maximum(lengths - length + 1, 0), 0)
    before = np.cumsum(each) - each
    _enough(int(each.sum()), length)
    ids: np.ndarray = np.arange(each.sum()) + np.repeat(starts - before, each)
    return ids


def _enough(available: int, length: int) -> int:
    if available < 2:
        raise InputError(
            f"labels.segment_length: no two segments of {length} steps to compare: {available} seen"
        )
    return available


def _distinct(pairs: np.ndarray) -> np.ndarray:
    """Without repetitions and pairs of a segment with itself, in order of first appearance."""
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    _, first = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)
    return pairs[np.sort(first)]
