"""Segments that the current policy finds likely, by rank (PoLiCER, Heo et al. 2026)."""

from typing import Annotated

import numpy as np

from active_rlhf.parts import candidates
from active_rlhf.selection.candidates import windows
from active_rlhf.selection.candidates.recent import Episodes, recent_weights
from active_rlhf.selection.context import Context
from active_rlhf.study.sections import setting


@candidates
def policy_rank(
    context: Context,
    count: int,
    generator: np.random.Generator,
    *,
    episodes: Episodes = 100,
    ranked: Annotated[
        int,
        setting(..., "segments ranked for each that is drawn", unit="segments", ge=1, le=1000),
    ] = 10,
    power: Annotated[
        float,
        setting(
            ...,
            "tau: a segment of rank r is drawn with a chance proportional to r^-tau; 0 is uniform",
            unit="power",
            ge=0,
            le=100,
        ),
    ] = 1.0,
) -> np.ndarray:
    """Segments likely under the current policy, drawn by rank (PoLiCER).

    Policy likelihood-based query sampling (Heo et al., ICLR 2026): `ranked` segments for each that
    is wanted, uniform over the latest episodes, are scored by the mean over time of
    log pi(a_t|o_t) under the current policy. Without replacement, the one of rank r (1 is the most
    likely) is drawn with p proportional to (1/r)^tau; the drawn ones are paired at random, so each
    is in one pair.
    """
    store, length = context.store, context.segment_length
    possible = windows(store, length, recent_weights(store, length, episodes))
    count = min(count, len(possible) // 2)
    size = min(2 * count * ranked, len(possible))
    ids = generator.choice(possible, size=size, replace=False)
    chance = rank_chances(likelihoods(context, ids), power)
    drawn = generator.choice(ids, size=2 * count, replace=False, p=chance)
    return generator.permutation(drawn).reshape(-1, 2)


def likelihoods(context: Context, ids: np.ndarray) -> np.ndarray:
    """Mean over time of log pi(a_t|o_t) under the current policy, float64 [n], of segments [n]."""
    found = np.empty(len(ids))
    many = max(1, context.store.at_once // context.segment_length)
    for begin in range(0, len(ids), many):
        part = slice(begin, begin + many)
        observations, actions = (
            steps.reshape(-1, *steps.shape[2:]) for steps in context.segments(ids[part])
        )
        steps = context.log_probabilities(observations, actions)
        found[part] = steps.reshape(-1, context.segment_length).mean(axis=1, dtype=np.float64)
    return found


def rank_chances(scores: np.ndarray, power: float) -> np.ndarray:
    """Chances [n] proportional to rank^-power; the highest score has rank 1, and of equal ones the
    earlier is before the later."""
    chances = np.empty(len(scores))
    chances[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1) ** -float(power)
    return np.asarray(chances / chances.sum())
