"""Power: which effects a study of n seeds could have detected.

Power is that of the rank test for normal values. It follows from the asymptotic relative
efficiency: n values count as 3 n / pi in the power of the t test (Lehmann 1975; G*Power's method).
The paired test is about dz, mean difference over the sd of differences; the unpaired one about d,
mean difference over the sd within a method, and takes the numbers of runs of both. It is 0 where
the exact test cannot reject at all. The effect is declared beforehand: power for the observed
effect would only repeat the p-value.
"""

from collections.abc import Iterator
from math import comb

import numpy as np
import pandas as pd
import scipy

from active_rlhf.analysis.frames import needs

EFFECT = 0.8  # the declared dz or d: "large" by Cohen's convention
TARGET = 0.8


def smallest_p(n: int, other: int | None = None) -> float:
    """Smallest attainable two-sided exact p-value: 2 / 2^n of the signed-rank test of n pairs.

    other: runs of the second method, if they are not paired: 2 / (n + other choose n).
    """
    if other is None:
        return min(1.0, 2.0 ** (1 - n))
    return min(1.0, 2 / comb(n + other, n))


def power(n: int, effect: float, alpha: float, other: int | None = None) -> float:
    """Probability of p <= alpha for n pairs, or n and `other` runs, and this standardised mean."""
    if smallest_p(n, other) > alpha:
        return 0.0
    if other is None:
        freedom, noncentral = n * 3 / np.pi - 1, n * 3 / np.pi * effect**2
    else:
        freedom = (n + other) * 3 / np.pi - 2
        noncentral = 3 / np.pi * n * other / (n + other) * effect**2
    critical = scipy.stats.f.ppf(1 - alpha, 1, freedom)  # t squared: both tails at once
    return float(scipy.stats.ncf.sf(critical, 1, freedom, noncentral))


def seeds_needed(
    effect: float, alpha: float, target: float = TARGET, unpaired: bool = False
) -> int:
    """The fewest seeds (of each method) with which a test at level alpha has this power.

    Raises ValueError for an effect of zero, which no number of seeds detects.
    """
    if effect == 0:
        raise ValueError("an effect of zero cannot be detected")

    def reached(n: int) -> bool:
        return power(n, effect, alpha, n if unpaired else None) >= target

    low, high = 1, 2
    while not reached(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def detectable(n: int, alpha: float, target: float = TARGET, other: int | None = None) -> float:
    """The smallest effect that n seeds detect at level alpha with this power; inf for none."""
    if smallest_p(n, other) > alpha:
        return np.inf
    high = 0.5
    while power(n, high, alpha, other) < target:
        high *= 2
    found = scipy.optimize.brentq(lambda d: power(n, d, alpha, other) - target, 0.0, high)
    return float(found)


def family_warning(n: int, m: int, alpha: float, other: int | None = None) -> str | None:
    """A sentence if m tests with n seeds each can reject nothing after Holm's correction."""
    smallest = smallest_p(n, other)
    if m * smallest <= alpha:
        return None
    holm = min(1.0, m * smallest)
    corrected = f", and {holm:.2g} after Holm's correction in a family of {m} tests" * (m > 1)
    if other is None:
        seeds = int(np.ceil(1 - np.log2(alpha / m)))
        have, takes = f"{n} seed{'s' * (n != 1)}", f"{seeds} seeds"
    else:
        seeds = next(k for k in range(2, 1000) if m * smallest_p(k, k) <= alpha)
        have, takes = f"{n} and {other} runs", f"{seeds} runs of each method"
    return (
        f"With {have} the smallest exact p-value is {smallest:.3g}{corrected}. "
        f"So nothing can be rejected at {alpha:g}; that takes {takes}."
    )


def sizes(rows: pd.DataFrame) -> tuple[tuple[int, int | None], tuple[int, int | None]]:
    """Of comparisons: the fewest and the most seeds, or runs of both methods if unpaired."""
    if is_unpaired(rows):
        order = [smallest_p(int(a), int(b)) for a, b in zip(rows["n_a"], rows["n_b"], strict=True)]
        few, many = (rows.iloc[int(pick(order))] for pick in (np.argmax, np.argmin))
        return (int(few["n_a"]), int(few["n_b"])), (int(many["n_a"]), int(many["n_b"]))
    return (int(rows["n"].min()), None), (int(rows["n"].max()), None)


def is_unpaired(comparisons: pd.DataFrame) -> bool:
    """Whether these comparisons take no pairs of runs."""
    return "design" in comparisons and bool((comparisons["design"] == "unpaired").any())


def families(comparisons: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for family, rows in comparisons.groupby("family", sort=False):
        yield str(family), rows


@needs(comparisons="family n")
def power_table(comparisons: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """One row per family of a comparisons table, at the level of Holm's first step, alpha / tests.

    `n` is the smallest number of seeds of a pair (of the smaller method, if unpaired);
    `rejection_possible` and `warning` are for the largest.
    """
    rows = []
    for family, group in families(comparisons):
        ((n, other), most), m = sizes(group), len(group)
        level, warning = alpha / m, family_warning(most[0], m, alpha, most[1])
        fewest = n if other is None else min(n, other)
        test = (family, fewest, m, alpha, level, smallest_p(n, other), warning is None)
        needed = seeds_needed(EFFECT, level, unpaired=other is not None)
        effect = (EFFECT, power(n, EFFECT, level, other), needed)
        found = detectable(n, level, other=other)
        rows.append((*test, *effect, found, warning or ""))
    columns = "family n tests alpha level smallest_p rejection_possible dz power n_for_80"
    return pd.DataFrame(rows, columns=[*columns.split(), "detectable_dz", "warning"])
