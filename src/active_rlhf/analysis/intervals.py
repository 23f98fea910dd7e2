"""Confidence intervals for a location, each a pair (low, high)."""

from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
import scipy

Interval = tuple[float, float]


def signed_rank_null(ranks: np.ndarray) -> np.ndarray:
    """P(W+ = w/2) for w = 0, 1, ..., if each of these (mid)ranks is positive with probability 1/2.

    Exact for whole and half ranks, and so with ties: each rank convolves the distribution with
    {0, rank}. Positions are doubled ranks, which are integers.
    """
    doubled = np.rint(2 * np.asarray(ranks)).astype(int)
    mass = np.zeros(doubled.sum() + 1)
    mass[0] = 1.0
    for rank in doubled:
        mass[rank:] = mass[rank:] / 2 + mass[: len(mass) - rank] / 2
        mass[:rank] /= 2
    return mass


@cache
def untied_null(n: int) -> np.ndarray:
    """P(W+ = w) for w = 0, 1, ... of n differences without ties."""
    return signed_rank_null(np.arange(1, n + 1))[::2]


def walsh_averages(differences: np.ndarray) -> np.ndarray:
    """The n(n+1)/2 means of two differences (each is also paired with itself), ascending."""
    first, second = np.triu_indices(len(differences))
    return np.sort((differences[first] + differences[second]) / 2)


def hodges_lehmann(differences: np.ndarray) -> float:
    """Median of the Walsh averages: the shift that the signed-rank test supports most."""
    return float(np.median(walsh_averages(differences)))


def hodges_lehmann_interval(differences: np.ndarray, level: float = 0.95) -> Interval:
    """The shifts that the exact two-sided signed-rank test does not reject at 1 - level.

    If c is the largest W with 2 P(W+ <= c) <= 1 - level, they lie between the Walsh averages of
    rank c + 1 from below and from above (n = 10, 95%: the 9th and 47th of 55). If no W is that rare
    (n < 6 at 95%), the test rejects nothing, and the interval is the whole line.
    """
    null = untied_null(len(differences))
    rejected = int(np.sum(2 * np.cumsum(null) <= 1 - level + 1e-12))
    if rejected == 0:
        return -np.inf, np.inf
    averages = walsh_averages(differences)
    return float(averages[rejected - 1]), float(averages[-rejected])


def rank_sum_null(n: int, m: int) -> np.ndarray:
    """P(U = u) for u = 0, ..., n m, of the Mann-Whitney U of n and m values without ties.

    The Gaussian binomial coefficient: the product over i of (1 - q^(m+i)) / (1 - q^i).
    """
    counts = np.zeros(n * m + 1)
    counts[0] = 1.0
    for i in range(1, n + 1):
        counts[m + i :] -= counts[: len(counts) - m - i].copy()
        for u in range(i):
            counts[u::i] = np.cumsum(counts[u::i])
        counts /= counts.sum()
    return np.clip(counts, 0.0, None)


def shift_interval(a: np.ndarray, b: np.ndarray, level: float = 0.95) -> Interval:
    """The shifts of a against b that the two-sided Mann-Whitney test does not reject at 1 - level.

    They lie between two of the n m differences a_i - b_j in order, by the exact distribution of U
    for up to 50 values each without ties, else by its tie-corrected normal approximation with
    continuity correction. The whole line where the test can reject nothing.
    """
    n, m = len(a), len(b)
    ordered = np.sort(np.subtract.outer(a, b), axis=None)
    if untied(a, b):
        below = 2 * np.cumsum(rank_sum_null(n, m))
        rejected = int(np.sum(below <= 1 - level + 1e-12))
    else:
        _, ties = np.unique(np.concatenate([a, b]), return_counts=True)
        total = n + m
        variance = n * m / 12 * (total + 1 - np.sum(ties**3 - ties) / (total * (total - 1)))
        z = scipy.stats.norm.ppf((1 + level) / 2)
        rejected = int(np.floor(n * m / 2 - 0.5 - z * np.sqrt(max(variance, 0.0)))) + 1
    if rejected <= 0:
        return -np.inf, np.inf
    return float(ordered[rejected - 1]), float(ordered[-rejected])


def untied(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the exact distribution of U is used: at most 50 values each, none equal."""
    pooled = np.concatenate([a, b])
    return max(len(a), len(b)) <= 50 and len(np.unique(pooled)) == len(pooled)


def welch(a: np.ndarray, b: np.ndarray, level: float = 0.95) -> Interval:
    """Welch's t interval of the difference of two means; NaN for one value, or without spread."""
    if min(len(a), len(b)) < 2 or (np.ptp(a) == 0 and np.ptp(b) == 0):
        return np.nan, np.nan
    found = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval(level)
    return float(found.low), float(found.high)


def t_interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """mean +- t quantile (n - 1 degrees of freedom) x sd / sqrt(n); NaN for one value."""
    if len(values) < 2:
        return np.nan, np.nan
    # As scipy.stats computes it, which takes half a second to import.
    sem = np.std(values, ddof=1) / np.sqrt(len(values))
    half = scipy.special.stdtrit(len(values) - 1, (1 + level) / 2) * sem
    return float(np.mean(values) - half), float(np.mean(values) + half)


def bootstrap_intervals(
    values: np.ndarray, level: float = 0.95, resamples: int = 10_000
) -> tuple[Interval, Interval]:
    """BCa and percentile interval (Efron 1987) of the mean, from the same resamples.

    Resamples depend on n only, so all comparisons of a study use the same draws, and so does a pair
    in either order. NaN for one value; a point if all values are equal.
    """
    if len(values) < 2:
        return (np.nan, np.nan), (np.nan, np.nan)
    if np.ptp(values) == 0:
        point = float(values[0]), float(values[0])
        return point, point
    return _bootstrapped((values,), np.mean, level, resamples)


def bootstrap_intervals_unpaired(
    a: np.ndarray, b: np.ndarray, level: float = 0.95, resamples: int = 10_000
) -> tuple[Interval, Interval]:
    """The same of the difference of two means, whose runs are drawn independently."""
    if min(len(a), len(b)) < 2:
        return (np.nan, np.nan), (np.nan, np.nan)
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        point = float(a[0] - b[0]), float(a[0] - b[0])
        return point, point

    def difference(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.mean(x, axis=axis) - np.mean(y, axis=axis)

    return _bootstrapped((a, b), difference, level, resamples)


def _bootstrapped(
    samples: tuple[np.ndarray, ...],
    statistic: Callable[..., np.ndarray],
    level: float,
    resamples: int,
) -> tuple[Interval, Interval]:
    draws = scipy.stats.bootstrap(
        samples,
        statistic,
        n_resamples=resamples,
        confidence_level=level,
        method="BCa",
        rng=np.random.default_rng(0),
    )
    again = scipy.stats.bootstrap(
        samples,
        statistic,
        n_resamples=0,
        confidence_level=level,
        method="percentile",
        bootstrap_result=draws,
    )
    bca, percentile = draws.confidence_interval, again.confidence_interval
    return (float(bca.low), float(bca.high)), (float(percentile.low), float(percentile.high))


def resample_counts(n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n runs is drawn in each bootstrap resample: float64 [resamples, n].

    A resampled mean is then one matrix product, counts @ values / n, for any number of columns.
    """
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)


@lru_cache(maxsize=1)
def seeded_counts(n: int, resamples: int) -> np.ndarray:
    """Those that are the same for all curves of n runs, to be read only."""
    return resample_counts(n, resamples, np.random.default_rng(0))


def percentile_interval(draws: np.ndarray, level: float = 0.95) -> np.ndarray:
    """Percentile interval over the first axis of bootstrap draws [B, ...]: [2, ...]."""
    return np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
