"""A picker: which of the pairs in play are asked about.

In a study:

    parts: [template_name.py]
    selectors:
      mine: {score: range, keep: 0.5, picker: {name: template_name, apart: 20}}
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from active_rlhf.parts import picker
from active_rlhf.selection.pairs import Pairs, by_score, filled


@picker  # or @picker(latents=True, features=True) for one that looks at pool.latents and features
def template_name(
    pool: Pairs,
    batch: int,
    generator: np.random.Generator,
    *,
    # Every keyword-only parameter is a setting of the study, with its type, range and a sentence.
    apart: Annotated[
        int, Field(ge=1, description="least steps between the first segments of two pairs")
    ] = 10,
) -> np.ndarray:
    """The pairs with the best scores, except those that begin close to a better one."""
    order = by_score(pool)
    chosen: list[int] = []
    for index in order.tolist():
        begins = pool.ids[chosen, 0]  # a segment's id is the step it begins at
        if len(chosen) < batch and np.all(np.abs(begins - pool.ids[index, 0]) >= apart):
            chosen.append(index)
    # `batch` different indices into the pool: if too few are apart, the best of the others.
    return filled(np.array(chosen, np.int64), order, batch)
