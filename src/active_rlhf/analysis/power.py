"""Power: which effects a study of n seeds could have detected.

Power is that of the two-sided signed-rank test for normal differences with standardised mean dz. It
follows from the asymptotic relative efficiency: n pairs count as 3 n / pi in the power of the
paired t test (Lehmann 1975; G*Power's method). It is 0 where the exact test cannot reject at all.
The effect is declared beforehand: power for the observed effect would only repeat the p-value.
"""

import numpy as np
import pandas as pd
import scipy

from active_rlhf.analysis.frames import needs

EFFECT = 0.8  # the declared dz: "large" by Cohen's convention
TARGET = 0.8


def smallest_p(n: int) -> float:
    """Smallest attainable two-sided exact signed-rank p-value of n pairs: 2 / 2^n."""
    return min(1.0, 2.0 ** (1 - n))


def power(n: int, dz: float, alpha: float) -> float:
    """Probability of p <= alpha for n pairs whose differences have mean / sd = dz."""
    if smallest_p(n) > alpha:
        return 0.0
    pairs = n * 3 / np.pi
    critical = scipy.stats.f.ppf(1 - alpha, 1, pairs - 1)  # t squared: both tails at once
    return float(scipy.stats.ncf.sf(critical, 1, pairs - 1, pairs * dz**2))


def seeds_needed(dz: float, alpha: float, target: float = TARGET) -> int:
    """The fewest seeds with which the test at level alpha detects an effect dz with this power.

    Raises ValueError for dz = 0, which no number of seeds detects.
    """
    if dz == 0:
        raise ValueError("an effect of zero cannot be detected")
    low, high = 1, 2
    while power(high, dz, alpha) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, dz, alpha) >= target else (middle, high)
    return high


def detectable(n: int, alpha: float, target: float = TARGET) -> float:
    """The smallest dz that n seeds detect at level alpha with this power; inf if there is none."""
    if smallest_p(n) > alpha:
        return np.inf
    high = 0.5
    while power(n, high, alpha) < target:
        high *= 2
    return float(scipy.optimize.brentq(lambda dz: power(n, dz, alpha) - target, 0.0, high))


def family_warning(n: int, m: int, alpha: float) -> str | None:
    """A sentence if m tests with n seeds each can reject nothing after Holm's correction."""
    if m * smallest_p(n) <= alpha:
        return None
    seeds = int(np.ceil(1 - np.log2(alpha / m)))
    holm = min(1.0, m * smallest_p(n))
    corrected = f", and {holm:.2g} after Holm's correction in a family of {m} tests" * (m > 1)
    return (
        f"With {n} seeds the smallest exact p-value is {smallest_p(n):.3g}{corrected}. "
        f"So nothing can be rejected at {alpha:g}; that takes {seeds} seeds."
    )


@needs(comparisons="family n")
def power_table(comparisons: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """One row per family of a comparisons table, at the level of Holm's first step, alpha / tests.

    `n` is the smallest number of seeds of a pair; `rejection_possible` and `warning` are for the
    largest.
    """
    rows = []
    for family, group in comparisons.groupby("family", sort=False):
        n, most, m = int(group["n"].min()), int(group["n"].max()), len(group)
        level, warning = alpha / m, family_warning(most, m, alpha)
        test = (family, n, m, alpha, level, smallest_p(n), warning is None)
        effect = (EFFECT, power(n, EFFECT, level), seeds_needed(EFFECT, level))
        rows.append((*test, *effect, detectable(n, level), warning or ""))
    columns = "family n tests alpha level smallest_p rejection_possible dz power n_for_80"
    return pd.DataFrame(rows, columns=[*columns.split(), "detectable_dz", "warning"])
