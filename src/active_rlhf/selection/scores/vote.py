import numpy as np

from active_rlhf.parts import score
from active_rlhf.selection.pairs import Pairs


@score
def vote(pairs: Pairs) -> np.ndarray:
    """p (1 - p), with p the share of members that prefer the first segment."""
    share = (pairs.differences > 0).mean(axis=0)
    return np.asarray(share * (1 - share))
