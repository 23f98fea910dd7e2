import numpy as np

from active_rlhf.parts import score
from active_rlhf.selection.pairs import Pairs


@score
def return_variance(pairs: Pairs) -> np.ndarray:
    """Variance of the members' return differences dR."""
    return np.asarray(pairs.differences.var(axis=0))
