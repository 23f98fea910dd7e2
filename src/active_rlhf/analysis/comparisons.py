"""Pairwise comparisons of methods, paired by seed, and the summary of each method.

The table of comparisons is the only source of the p-values, intervals and sentences of a report.
All differences are a minus b, and pairs are in the order of the methods.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import scipy

from active_rlhf.analysis.endpoints import by_seed
from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.intervals import (
    bootstrap_intervals,
    hodges_lehmann,
    hodges_lehmann_interval,
    signed_rank_null,
    t_interval,
)
from active_rlhf.analysis.power import EFFECT, power, seeds_needed
from active_rlhf.errors import InputError
from active_rlhf.results.export import METRIC
from active_rlhf.study.endpoints import (
    OVER_LABELS,
    REWARD_MODEL,
    lower_is_better,
    of_reward_model,
)

FAMILIES = ("environment", "study")
STUDY_REWARD = "study, reward model"
_COLUMNS = """
    env metric_type metric method_a method_b n w_statistic p_value p_value_holm reject_null
    delta_mean delta_median sd_delta ci_t_low ci_t_high ci_boot_low ci_boot_high
    hodges_lehmann ci_hl_low ci_hl_high dz gz rank_biserial p_mannwhitney prob_improvement
    family power n_for_80 ci_bca_low ci_bca_high r_seed n_a n_b
"""
ROUNDING = 1e-12  # differences that are smaller than this, relative to the values, are zero


def signed_ranks(differences: np.ndarray) -> tuple[float, float, np.ndarray]:
    """(W+, W-, ranks): sums of the (mid)ranks of |d| over d > 0 and d < 0; zeros are dropped."""
    d = differences[differences != 0]
    ranks = scipy.stats.rankdata(np.abs(d))
    return float(ranks[d > 0].sum()), float(ranks[d < 0].sum()), ranks


def wilcoxon(differences: np.ndarray) -> tuple[float, float]:
    """(W, p) of the exact two-sided signed-rank test, W the smaller rank sum.

    Exact with ties too: p is over all sign patterns of the midranks. Zero differences are dropped
    (Wilcoxon's rule); with none left p is 1.
    """
    positive, negative, ranks = signed_ranks(differences)
    w = min(positive, negative)
    below = signed_rank_null(ranks)[: round(2 * w) + 1].sum()
    return w, float(min(1.0, 2 * below))


def rank_biserial(differences: np.ndarray) -> float:
    """(W+ - W-) / (W+ + W-) in [-1, 1] (Kerby 2014): the ranks in favour of a, less those against.

    NaN if all differences are zero.
    """
    positive, negative, _ = signed_ranks(differences)
    total = positive + negative
    return (positive - negative) / total if total else np.nan


def standardised(differences: np.ndarray) -> float:
    """dz = mean / sd of the differences; NaN if sd is zero or undefined."""
    sd = differences.std(ddof=1) if len(differences) > 1 else 0.0
    return float(differences.mean() / sd) if sd > 0 else np.nan


def hedges_correction(df: int) -> float:
    """J = gamma(df/2) / (sqrt(df/2) gamma((df-1)/2)) (Hedges 1981), exact; NaN for df < 2.

    Makes dz of normal differences unbiased; .9139 for the nine degrees of freedom of ten pairs.
    """
    if df < 2:
        return np.nan
    upper, lower = scipy.special.gammaln([df / 2, (df - 1) / 2])
    return float(np.exp(upper - lower) / np.sqrt(df / 2))


def probability_of_improvement(a: np.ndarray, b: np.ndarray) -> float:
    """P(a > b) + P(a = b) / 2 over all pairs of a run of a and a run of b, regardless of seed."""
    difference = np.subtract.outer(a, b)
    return float(np.mean(difference > 0) + np.mean(difference == 0) / 2)


def mann_whitney(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p of the rank-sum test.

    Exact for up to 50 runs each without ties, otherwise by the tie-corrected normal approximation.
    """
    pooled = np.concatenate([a, b])
    if np.ptp(pooled) == 0:
        return 1.0
    untied = len(np.unique(pooled)) == len(pooled)
    method = "exact" if untied and max(len(a), len(b)) <= 50 else "asymptotic"
    return float(scipy.stats.mannwhitneyu(a, b, method=method).pvalue)


def differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b, and zero where they differ by rounding alone (relative 1e-12)."""
    d = a - b
    return np.where(np.abs(d) <= ROUNDING * np.maximum(np.abs(a), np.abs(b)), 0.0, d)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r; NaN for fewer than three pairs, or if one side does not vary."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def compare(
    a: np.ndarray,
    b: np.ndarray,
    level: float = 0.95,
    resamples: int = 10_000,
    unpaired: tuple[np.ndarray, np.ndarray] | None = None,
    lower_is_better: bool = False,
) -> dict:
    """All measures of one comparison; a[i] and b[i] are the values of the same seed.

    unpaired: all values of both methods, for the measures that need no pairs; a and b without it.
    Differences, and dz with them, are a minus b; `rank_biserial` and `prob_improvement` say how far
    a is the better one, which is the smaller one if `lower_is_better`.
    """
    of_a, of_b = unpaired or (a, b)
    better = -1 if lower_is_better else 1
    d = differences(a, b)
    w, p = wilcoxon(d)
    bca, percentile = bootstrap_intervals(d, level, resamples)
    t, hl = t_interval(d, level), hodges_lehmann_interval(d, level)
    dz = standardised(d)
    return {
        "n": len(d),
        "w_statistic": w,
        "p_value": p,
        "delta_mean": float(np.mean(d)),
        "delta_median": float(np.median(d)),
        "sd_delta": float(np.std(d, ddof=1)) if len(d) > 1 else np.nan,
        "ci_t_low": t[0],
        "ci_t_high": t[1],
        "ci_boot_low": percentile[0],
        "ci_boot_high": percentile[1],
        "hodges_lehmann": hodges_lehmann(d),
        "ci_hl_low": hl[0],
        "ci_hl_high": hl[1],
        "dz": dz,
        "gz": dz * hedges_correction(len(d) - 1),
        "rank_biserial": rank_biserial(better * d),
        "p_mannwhitney": mann_whitney(of_a, of_b),
        "prob_improvement": probability_of_improvement(better * of_a, better * of_b),
        "r_seed": correlation(a, b),
        "n_a": len(of_a),
        "n_b": len(of_b),
        "ci_bca_low": bca[0],
        "ci_bca_high": bca[1],
    }


@needs(endpoints="env method seed metric_type value")
def comparisons(
    endpoints: pd.DataFrame,
    family: str = "environment",
    alpha: float = 0.05,
    resamples: int = 10_000,
    against: str | None = None,
) -> pd.DataFrame:
    """One row per environment x endpoint x pair of methods (docs/statistics.md has the columns).

    Two methods are compared on the seeds that both have; the unpaired measures, `p_mannwhitney` and
    `prob_improvement`, take all runs of both, `n_a` and `n_b`. against: the method that all others
    are compared with (they minus it); all pairs without it. `family` says which p-values Holm's
    method corrects together: `environment` those of one environment and endpoint, `study` those of
    all returns in the table, and those of all endpoints of the reward model. Intervals have level
    1 - alpha, so the Hodges-Lehmann interval excludes zero exactly where p <= alpha (unless
    differences tie). `power` and `n_for_80` are for the declared effect, at level alpha / tests in
    the family.
    """
    if family not in FAMILIES:
        raise InputError(f"unknown family {family!r}; known: {', '.join(FAMILIES)}")
    rows = []
    for (env, metric_type), group in endpoints.groupby(["env", "metric_type"], sort=False):
        wide = by_seed(group)
        for a, b in contrasts(list(wide.columns), against):
            pair = wide[[a, b]].dropna()
            if pair.empty:
                continue
            every = wide[a].dropna().to_numpy(), wide[b].dropna().to_numpy()
            lower = lower_is_better(str(metric_type))
            own = pair[a].to_numpy(), pair[b].to_numpy()
            row = compare(*own, 1 - alpha, resamples, every, lower_is_better=lower)
            row |= {"env": env, "metric_type": metric_type, "metric": metric(str(metric_type))}
            row |= {"method_a": a, "method_b": b}
            whole = STUDY_REWARD if of_reward_model(str(metric_type)) else "study"
            row["family"] = whole if family == "study" else f"{env}, {metric_type}"
            rows.append(row)
    table = pd.DataFrame(rows, columns=_COLUMNS.split())
    from statsmodels.stats.multitest import multipletests  # slow to import

    for _, members in table.groupby("family", sort=False):
        holm = multipletests(members["p_value"], alpha, method="holm")[1]
        table.loc[members.index, "p_value_holm"] = holm
        level = alpha / len(members)
        table.loc[members.index, "power"] = [power(n, EFFECT, level) for n in members["n"]]
        table.loc[members.index, "n_for_80"] = seeds_needed(EFFECT, level)
    table["reject_null"] = table["p_value_holm"] <= alpha
    return table.astype(dict.fromkeys(["n_for_80", "n_a", "n_b"], "int64"))


def metric(metric_type: str) -> str:
    """The column of the exports that an endpoint is computed from."""
    return REWARD_MODEL.get(metric_type.removesuffix(OVER_LABELS), METRIC)


def contrasts(methods: Sequence[str], against: str | None) -> list[tuple[str, str]]:
    """The pairs to compare: all of them in order, or each method with `against`."""
    if against is None:
        return list(combinations(methods, 2))
    return [(method, against) for method in methods if method != against and against in methods]


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean after dropping the lowest and the highest floor(n/4) values."""
    ordered = np.moveaxis(np.sort(values, axis=axis), axis, 0)
    cut = len(ordered) // 4
    return ordered[cut : len(ordered) - cut].mean(axis=0)


@needs(endpoints="env method seed metric_type value")
def summary(endpoints: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """One row per environment x method x endpoint.

    `iqr` is the 75th minus the 25th percentile (linear interpolation), `sd` has n - 1 in the
    denominator, `sem` = sd / sqrt(n), `ci_*` is the t interval of the mean, `cv` = sd / |mean|,
    `iqm` the interquartile mean.
    """
    rows = []
    keys = ["env", "metric_type", "method"]
    for (env, metric_type, method), group in endpoints.groupby(keys, sort=False, observed=True):
        values = group["value"].to_numpy()
        mean, sd = values.mean(), values.std(ddof=1) if len(values) > 1 else np.nan
        low, high = t_interval(values, 1 - alpha)
        rows.append(
            {
                "env": env,
                "method": method,
                "metric_type": metric_type,
                "n": len(values),
                "mean": mean,
                "median": np.median(values),
                "min": values.min(),
                "max": values.max(),
                "iqr": scipy.stats.iqr(values),
                "sd": sd,
                "sem": sd / np.sqrt(len(values)),
                "ci_low": low,
                "ci_high": high,
                "cv": sd / abs(mean) if mean else np.nan,
                "iqm": interquartile_mean(values),
            }
        )
    return pd.DataFrame(rows).astype({"method": endpoints["method"].dtype})
