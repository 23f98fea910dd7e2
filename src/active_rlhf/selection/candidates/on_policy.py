"""Segments of episodes that the current policy finds likely (DUO, Feng et al. 2025)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import numpy as np

from active_rlhf.parts import candidates
from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.selection.context import Context
from active_rlhf.study.sections import setting

if TYPE_CHECKING:
    from active_rlhf.behaviour.store import SegmentStore

LogProbabilities = Callable[[np.ndarray, np.ndarray], np.ndarray]


@candidates
def on_policy(
    context: Context,
    count: int,
    generator: np.random.Generator,
    *,
    episodes: Annotated[
        int | None,
        setting(
            ...,
            "latest episodes that count; all of them, each step of which the policy looks at in "
            "every session, if not given",
            unit="episodes",
            shown="all",
            ge=1,
        ),
    ] = None,
) -> np.ndarray:
    """Segments of episodes that are likely under the current policy."""
    store, length = context.store, context.segment_length
    weights = on_policy_weights(store, length, context.log_probabilities, episodes)
    return independent_pairs(store, length, count, weights, generator)


def on_policy_weights(
    store: "SegmentStore",
    length: int,
    log_probabilities: LogProbabilities,
    episodes: int | None = None,
) -> np.ndarray:
    """Weights [k] of the episodes by how likely they are under the current policy.

    Proportional to max(0, z-score of sum_t log pi(a_t|o_t)) over the finished episodes of at least
    `length` steps, or over all episodes that long if none is finished; equal if every weight is
    zero. With `episodes`, only the latest of these count. Where episodes differ in length, the mean
    over t replaces the sum, which mainly reflects length.
    """
    starts, lengths, finished = store.episodes()
    eligible = lengths >= length
    if (eligible & finished).any():
        eligible &= finished
    if not eligible.any():
        return np.zeros(len(starts))
    if episodes is not None:
        eligible[np.flatnonzero(eligible)[:-episodes]] = False
    ends = (starts + lengths)[eligible]
    likelihood = np.zeros(len(starts))
    for region in store.regions():
        mine = (starts >= region.start) & (starts < region.stop)
        if not (mine & eligible).any():
            continue
        first = region.start if episodes is None else starts[mine & eligible].min()
        last = ends[(ends > first) & (ends <= region.stop)].max()
        steps = np.empty(last - first)
        for begin in range(first, last, store.at_once):
            part = slice(begin, min(begin + store.at_once, last))
            found = log_probabilities(store.observations[part], store.actions[part])
            steps[begin - first : part.stop - first] = found
        known = np.flatnonzero(mine & (starts >= first) & (starts < last))
        known = known[np.argsort(starts[known])]
        likelihood[known] = np.add.reduceat(steps, starts[known] - first)
    if np.ptp(lengths[eligible]):
        likelihood /= lengths
    weights = np.where(eligible, likelihood, 0.0)
    # The z-score's denominator is common to all and so drops out of a proportion.
    weights[eligible] = np.maximum(weights[eligible] - weights[eligible].mean(), 0)
    return weights if weights.any() else eligible.astype(float)
