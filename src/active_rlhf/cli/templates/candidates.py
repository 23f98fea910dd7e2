"""A candidate generator: the pairs of segments that a selector may choose from.

In a study:

    parts: [template_name.py]
    selectors:
      mine: {candidates: {name: template_name, half_life: 20}, score: range, picker: top}
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from active_rlhf.parts import candidates
from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.selection.context import Context


@candidates
def template_name(
    context: Context,
    count: int,
    generator: np.random.Generator,
    *,
    # Every keyword-only parameter is a setting of the study, with its type, range and a sentence.
    half_life: Annotated[
        float, Field(gt=0, description="number of episodes after which the weight is halved")
    ] = 10.0,
) -> np.ndarray:
    """Segments of all episodes, later ones more often."""
    starts, _, _ = context.store.episodes()
    age = np.arange(len(starts))[::-1]
    weights = 0.5 ** (age / half_life)  # of each episode; those too short are never drawn
    # Ids int64 [m, 2] of distinct pairs of distinct segments, at most `count` of them. Draw all
    # random numbers from `generator`.
    return independent_pairs(context.store, context.segment_length, count, weights, generator)
