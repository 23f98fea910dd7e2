"""Segments of the latest episodes (QPA, Hu et al. 2024)."""

from typing import TYPE_CHECKING, Annotated

import numpy as np

from active_rlhf.parts import candidates
from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.selection.context import Context
from active_rlhf.study.sections import setting

if TYPE_CHECKING:
    from active_rlhf.behaviour.store import SegmentStore

Episodes = Annotated[
    int,
    setting(
        ...,
        "latest episodes that count, of those at least a segment long",
        unit="episodes",
        ge=1,
        le=1_000_000,
    ),
]


@candidates
def recent(
    context: Context,
    count: int,
    generator: np.random.Generator,
    *,
    episodes: Episodes = 10,
) -> np.ndarray:
    """Segments of the last episodes, all equally likely."""
    weights = recent_weights(context.store, context.segment_length, episodes)
    return independent_pairs(context.store, context.segment_length, count, weights, generator)


def recent_weights(store: "SegmentStore", length: int, episodes: int) -> np.ndarray:
    """Weights [k] that make all segments of the last `episodes` usable ones equally likely."""
    _, lengths, _ = store.episodes()
    windows = np.maximum(lengths - length + 1, 0)
    weights = np.zeros(len(windows))
    latest = np.flatnonzero(windows)[-episodes:]
    weights[latest] = windows[latest]
    return weights
