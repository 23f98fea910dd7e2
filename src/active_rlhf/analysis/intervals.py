"""Confidence intervals for a location, each a pair (low, high)."""

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
    null = signed_rank_null(np.arange(1, len(differences) + 1))[::2]
    rejected = int(np.sum(2 * np.cumsum(null) <= 1 - level + 1e-12))
    if rejected == 0:
        return -np.inf, np.inf
    averages = walsh_averages(differences)
    return float(averages[rejected - 1]), float(averages[-rejected])


def t_interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """mean +- t quantile (n - 1 degrees of freedom) x sd / sqrt(n); NaN for one value."""
    if len(values) < 2:
        return np.nan, np.nan
    half = scipy.stats.t.ppf((1 + level) / 2, len(values) - 1) * scipy.stats.sem(values)
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
    draws = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        confidence_level=level,
        method="BCa",
        rng=np.random.default_rng(0),
    )
    again = scipy.stats.bootstrap(
        (values,),
        np.mean,
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


def percentile_interval(draws: np.ndarray, level: float = 0.95) -> np.ndarray:
    """Percentile interval over the first axis of bootstrap draws [B, ...]: [2, ...]."""
    return np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
