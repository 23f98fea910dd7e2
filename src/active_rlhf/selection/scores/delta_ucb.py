from typing import Annotated

import numpy as np

from active_rlhf.parts import score
from active_rlhf.selection.pairs import Pairs
from active_rlhf.study.sections import setting


@score
def delta_ucb(
    pairs: Pairs,
    *,
    beta: Annotated[
        float,
        setting(..., "half a bound's width, in sds over members", unit="sd", ge=0, le=1000),
    ] = 1.0,
) -> np.ndarray:
    """Largest gap that may be: upper bound of one segment's return minus lower bound of the other.

    DeltaUCB (ActiveUltraFeedback, Melikidze et al., ICML 2026): max over both orders of
    U_i - L_j, with U, L = mean +- beta sd of the members' predicted returns, which makes
    |mean_i - mean_j| + beta (sd_i + sd_j).
    """
    mean, width = pairs.returns.mean(axis=0), beta * pairs.returns.std(axis=0)
    upper, lower = mean + width, mean - width
    return np.asarray(np.maximum(upper[:, 0] - lower[:, 1], upper[:, 1] - lower[:, 0]))
