"""A filter: which candidate pairs stay in play.

In a study:

    parts: [template_name.py]
    selectors:
      mine: {filter: {name: template_name, share: 0.3}, score: range, picker: top}
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from active_rlhf.parts import filter
from active_rlhf.selection.pairs import Pairs


@filter
def template_name(
    pairs: Pairs,
    *,
    # Every keyword-only parameter is a setting of the study, with its type, range and a sentence.
    share: Annotated[float, Field(gt=0, le=1, description="share of the pairs that pass")] = 0.5,
) -> np.ndarray | None:
    """The closest calls: pairs whose predicted returns differ least."""
    if pairs.train_accuracy is None:  # of the reward model; None before it has learned anything
        return None  # all pass
    gap = np.abs(pairs.differences.mean(axis=0))  # of [E, m] predicted return differences
    return gap <= np.quantile(gap, share)
