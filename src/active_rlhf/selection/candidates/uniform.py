"""All segments of all behaviour, equally likely."""

import numpy as np

from active_rlhf.parts import candidates
from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.selection.context import Context


@candidates
def uniform(context: Context, count: int, generator: np.random.Generator) -> np.ndarray:
    """Segments of all behaviour, all equally likely."""
    return independent_pairs(context.store, context.segment_length, count, None, generator)
