"""Segments of episodes that the current policy finds likely (DUO, Feng et al. 2025)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from active_rlhf.parts import candidates
from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.selection.context import Context

if TYPE_CHECKING:
    from active_rlhf.behaviour.store import SegmentStore

CHUNK = 1 << 15  # steps evaluated at once

LogProbabilities = Callable[[np.ndarray, np.ndarray], np.ndarray]


@candidates
def on_policy(context: Context, count: int, generator: np.random.Generator) -> np.ndarray:
    """Segments of episodes that are likely under the current policy."""
    store, length = context.store, context.segment_length
    weights = on_policy_weights(store, length, context.log_probabilities)
    return independent_pairs(store, length, count, weights, generator)


def on_policy_weights(
    store: "SegmentStore", length: int, log_probabilities: LogProbabilities
) -> np.ndarray:
    """Weights [k] of the episodes by how likely they are under the current policy.

    Proportional to max(0, z-score of sum_t log pi(a_t|o_t)) over the finished episodes of at least
    `length` steps, or over all episodes that long if none is finished; equal if every weight is
    zero. Where episodes differ in length, the mean over t replaces the sum, which mainly reflects
    length.
    """
    starts, lengths, finished = store.episodes()
    eligible = lengths >= length
    if (eligible & finished).any():
        eligible &= finished
    if not eligible.any():
        return np.zeros(len(starts))
    ends = (starts + lengths)[eligible]
    likelihood = np.zeros(len(starts))
    for region in store.regions():
        mine = (starts >= region.start) & (starts < region.stop)
        if not (mine & eligible).any():
            continue
        last = ends[(ends > region.start) & (ends <= region.stop)].max()
        steps = np.empty(last - region.start)
        for begin in range(region.start, last, CHUNK):
            part = slice(begin, min(begin + CHUNK, last))
            found = log_probabilities(store.observations[part], store.actions[part])
            steps[begin - region.start : part.stop - region.start] = found
        known = np.flatnonzero(mine & (starts < last))
        known = known[np.argsort(starts[known])]
        likelihood[known] = np.add.reduceat(steps, starts[known] - region.start)
    if np.ptp(lengths[eligible]):
        likelihood /= lengths
    weights = np.where(eligible, likelihood, 0.0)
    # The z-score's denominator is common to all and so drops out of a proportion.
    weights[eligible] = np.maximum(weights[eligible] - weights[eligible].mean(), 0)
    return weights if weights.any() else eligible.astype(float)
