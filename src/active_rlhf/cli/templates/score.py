"""A score of candidate pairs: which of them are worth asking about.

In a study:

    parts: [template_name.py]
    selectors:
      mine: {score: {name: template_name, power: 2}, picker: top}
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from active_rlhf.parts import score
from active_rlhf.selection.pairs import Pairs
from active_rlhf.selection.scores import probabilities


@score  # or @score(latents=True, features=True) for one that looks at pairs.latents and features
def template_name(
    pairs: Pairs,
    *,
    # Every keyword-only parameter is a setting of the study, with its type, range and a sentence.
    power: Annotated[float, Field(gt=0, description="exponent of the distances")] = 1.0,
) -> np.ndarray:
    """Largest difference between any member and their mean."""
    # active_rlhf/selection/pairs.py lists what a score can use: predicted rewards and returns,
    # observations, actions, last hidden layers, the labels so far, session, step.
    theta = probabilities(pairs.differences)  # [E, m]: P(first preferred) of each member
    distance = np.abs(theta - theta.mean(axis=0)).max(axis=0)
    # One finite number per pair, larger if it is more worth asking about, and independent of which
    # segment comes first.
    return distance**power
