from typing import Annotated

import numpy as np

from active_rlhf.parts import score
from active_rlhf.selection.pairs import Pairs
from active_rlhf.study.sections import setting


@score
def thompson_gap(
    pairs: Pairs,
    *,
    beta: Annotated[
        float,
        setting(..., "half the width of what is sampled, in sds", unit="sd", ge=0, le=1000),
    ] = 1.0,
) -> np.ndarray:
    """Gap of two samples of the returns: one segment in the first minus the other in the second.

    Double reverse Thompson sampling (ActiveUltraFeedback, Melikidze et al., ICML 2026) compares the
    best of one sample with the worst of another. A sample is mean + beta z sd of the members'
    predicted return of each segment, with z uniform between -1 and 1; a pair's score is the larger
    of its two such gaps, and the highest is that of the best against the worst.
    """
    ids, index = np.unique(pairs.ids, return_inverse=True)
    z = pairs.generator.uniform(-1, 1, (2, len(ids)))[:, index.reshape(pairs.ids.shape)]
    best, worst = pairs.returns.mean(axis=0) + beta * z * pairs.returns.std(axis=0)
    return np.asarray(np.maximum(best[:, 0] - worst[:, 1], best[:, 1] - worst[:, 0]))
