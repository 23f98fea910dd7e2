"""Pairwise comparisons of methods, paired by seed or not, and the summary of each method.

The table of comparisons is the only source of the p-values, intervals and sentences of a report.
All differences are a minus b, and pairs are in the order of the methods.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import scipy

from active_rlhf.analysis.endpoints import by_seed
from active_rlhf.analysis.frames import needs, require_rows
from active_rlhf.analysis.intervals import (
    bootstrap_intervals,
    bootstrap_intervals_unpaired,
    hodges_lehmann,
    hodges_lehmann_interval,
    shift_interval,
    signed_rank_null,
    t_interval,
    untied,
    untied_null,
    welch,
)
from active_rlhf.analysis.power import EFFECT, power, seeds_needed
from active_rlhf.errors import InputError
from active_rlhf.results.export import METRIC
from active_rlhf.study.measures import OVER_LABELS, REWARD_MODEL, lower_is_better, of_reward_model

FAMILIES = ("environment", "study")
PAIRED, UNPAIRED = "paired", "unpaired"
STUDY_REWARD = "study, reward model"
_COLUMNS = """
    env metric_type metric method_a method_b n w_statistic p_value p_value_holm reject_null
    delta_mean delta_median sd_delta ci_t_low ci_t_high ci_boot_low ci_boot_high
    hodges_lehmann ci_hl_low ci_hl_high dz gz rank_biserial p_mannwhitney prob_improvement
    family power n_for_80 ci_bca_low ci_bca_high r_seed n_a n_b design
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
    if len(np.unique(ranks)) == len(ranks):
        below = untied_null(len(ranks))[: round(w) + 1].sum()
    else:
        below = signed_rank_null(ranks)[: round(2 * w) + 1].sum()
    return w, float(min(1.0, 2 * below))


def rank_biserial(differences: np.ndarray) -> float:
    """(W+ - W-) / (W+ + W-) in [-1, 1] (Kerby 2014): the ranks in favour of a, less those against.

    NaN if all differences are zero.
    """
    positive, negative, _ = signed_ranks(differences)
    total = positive + negative
    return (positive - negative) / total if total else np.nan


def standardised(differences: np.ndarray, rounding: float = 0.0) -> float:
    """dz = mean / sd of the differences; NaN if sd is undefined, or no more than rounding."""
    sd = differences.std(ddof=1) if len(differences) > 1 else 0.0
    return float(differences.mean() / sd) if sd > rounding else np.nan


def pooled_sd(a: np.ndarray, b: np.ndarray) -> float:
    """Standard deviation within the two methods; NaN for a single run of each."""
    freedom = len(a) + len(b) - 2
    squares = np.sum((a - a.mean()) ** 2) + np.sum((b - b.mean()) ** 2)
    return float(np.sqrt(squares / freedom)) if freedom > 0 else np.nan


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
    if np.ptp(np.concatenate([a, b])) == 0:
        return 1.0
    method = "exact" if untied(a, b) else "asymptotic"
    return float(scipy.stats.mannwhitneyu(a, b, method=method).pvalue)


def differences(a: np.ndarray, b: np.ndarray, scale: float = 0.0) -> np.ndarray:
    """a - b, without what rounding alone makes of it (relative 1e-12).

    Differences that small are zero, and those whose sizes differ by no more are equal. scale: the
    largest return that the values were computed from, if they may be smaller, as means of large
    returns of either sign are.
    """
    d = a - b
    rounding = ROUNDING * np.maximum(np.maximum(np.abs(a), np.abs(b)), scale)
    d = np.where(np.abs(d) <= rounding, 0.0, d)
    return np.sign(d) * snapped(np.abs(d), rounding.max(initial=0.0))


def snapped(values: np.ndarray, rounding: float) -> np.ndarray:
    """The values, each group of neighbours that are no further apart than rounding as its first."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.concatenate([[True], np.diff(ordered) > rounding])[: len(ordered)]
    first = np.maximum.accumulate(np.where(starts, np.arange(len(ordered)), 0))
    found = np.empty_like(values)
    found[order] = ordered[first]
    return found


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
    scale: float = 0.0,
) -> dict:
    """All measures of one comparison; a[i] and b[i] are the values of the same seed.

    unpaired: all values of both methods, for the measures that need no pairs; a and b without it.
    Differences, and dz with them, are a minus b; `rank_biserial` and `prob_improvement` say how far
    a is the better one, which is the smaller one if `lower_is_better`. scale: see `differences`.
    Raises InputError unless a and b are of one length and without NaN, and level a probability.
    """
    if len(a) != len(b) or not len(a):
        raise InputError(
            f"compare: a has {len(a)} values and b {len(b)}; both must have one for each seed"
        )
    _require_values(a, b)
    _require_level(level)
    of_a, of_b = unpaired or (a, b)
    of_a, of_b = without_rounding(of_a, of_b, scale)
    better = -1 if lower_is_better else 1
    d = differences(a, b, scale)
    w, p = wilcoxon(d)
    bca, percentile = bootstrap_intervals(d, level, resamples)
    t, hl = t_interval(d, level), hodges_lehmann_interval(d, level)
    dz = standardised(d, rounding_of(a, b, scale))
    return {
        "design": PAIRED,
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


def rounding_of(a: np.ndarray, b: np.ndarray, scale: float = 0.0) -> float:
    """What rounding may make of differences of these values."""
    return ROUNDING * max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0), scale)


def without_rounding(
    a: np.ndarray, b: np.ndarray, scale: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The values of both methods, with those that differ by rounding alone made equal."""
    both = snapped(np.concatenate([a, b]), rounding_of(a, b, scale))
    return both[: len(a)], both[len(a) :]


def compare_unpaired(
    a: np.ndarray,
    b: np.ndarray,
    level: float = 0.95,
    resamples: int = 10_000,
    lower_is_better: bool = False,
    scale: float = 0.0,
) -> dict:
    """The measures of `compare` for runs that have no seeds in common: a [n_a] and b [n_b].

    `p_value` is that of the Mann-Whitney test and `w_statistic` its U of a; `hodges_lehmann` is the
    median of all n_a n_b differences, with the interval that is the test's dual; `ci_t` is Welch's;
    `ci_boot` and `ci_bca` draw the runs of each method independently; `sd_delta` is the sd within
    methods, `dz` then Cohen's d and `gz` Hedges' g; `n` is the smaller of the two numbers. Raises
    InputError unless both have values, without NaN, and level is a probability.
    """
    if not (len(a) and len(b)):
        raise InputError(
            f"compare_unpaired: a has {len(a)} values and b {len(b)}; both must have some"
        )
    _require_values(a, b)
    _require_level(level)
    a, b = without_rounding(a, b, scale)
    better = -1 if lower_is_better else 1
    bca, percentile = bootstrap_intervals_unpaired(a, b, level, resamples)
    t, hl, p = welch(a, b, level), shift_interval(a, b, level), mann_whitney(a, b)
    improved = probability_of_improvement(better * a, better * b)
    sd, mean = pooled_sd(a, b), float(np.mean(a) - np.mean(b))
    d = mean / sd if sd > rounding_of(a, b, scale) else np.nan
    return {
        "design": UNPAIRED,
        "n": min(len(a), len(b)),
        "w_statistic": probability_of_improvement(a, b) * len(a) * len(b),
        "p_value": p,
        "delta_mean": mean,
        "delta_median": float(np.median(a) - np.median(b)),
        "sd_delta": sd,
        "ci_t_low": t[0],
        "ci_t_high": t[1],
        "ci_boot_low": percentile[0],
        "ci_boot_high": percentile[1],
        "hodges_lehmann": float(np.median(np.subtract.outer(a, b))),
        "ci_hl_low": hl[0],
        "ci_hl_high": hl[1],
        "dz": d,
        "gz": d * hedges_correction(len(a) + len(b) - 2),
        "rank_biserial": 2 * improved - 1,
        "p_mannwhitney": p,
        "prob_improvement": improved,
        "r_seed": np.nan,
        "n_a": len(a),
        "n_b": len(b),
        "ci_bca_low": bca[0],
        "ci_bca_high": bca[1],
    }


def _require_values(a: np.ndarray, b: np.ndarray) -> None:
    for name, values in (("a", a), ("b", b)):
        if np.isnan(values).any():
            raise InputError(f"{name} holds NaN; leave out such seeds, of a pair in both")


def _require_level(level: float) -> None:
    if not 0 < level <= 1:  # 1 - alpha is 1 for the smallest of alphas
        raise InputError(f"level must lie between 0 and 1, such as 0.95, not {level!r}")


@needs(endpoints="env method seed metric_type value")
def comparisons(
    endpoints: pd.DataFrame,
    family: str = "environment",
    alpha: float = 0.05,
    resamples: int = 10_000,
    against: str | None = None,
    design: str = PAIRED,
    largest: pd.Series | None = None,
) -> pd.DataFrame:
    """One row per environment x endpoint x pair of methods (docs/statistics.md has the columns).

    Two methods are compared on the seeds that both have; the unpaired measures, `p_mannwhitney` and
    `prob_improvement`, take all runs of both, `n_a` and `n_b`. With design `unpaired` all measures
    are of all runs (`compare_unpaired`). largest: the largest return of each run, indexed by env,
    method and seed, to which rounding is relative. against: the method that all others
    are compared with (they minus it); all pairs without it. `family` says which p-values Holm's
    method corrects together: `environment` those of one environment and endpoint, `study` those of
    all returns in the table, and those of all endpoints of the reward model. Intervals have level
    1 - alpha, so the Hodges-Lehmann interval excludes zero exactly where p <= alpha (unless
    differences tie). `power` and `n_for_80` are for the declared effect, at level alpha / tests in
    the family. Raises InputError for an unknown family or design.
    """
    if family not in FAMILIES:
        raise InputError(f"unknown family {family!r}; known: {', '.join(FAMILIES)}")
    if design not in (PAIRED, UNPAIRED):
        raise InputError(f"unknown design {design!r}; known: {PAIRED}, {UNPAIRED}")
    rows = []
    for (env, metric_type), group in endpoints.groupby(["env", "metric_type"], sort=False):
        wide, lower = by_seed(group), lower_is_better(str(metric_type))
        of_returns = largest is not None and not of_reward_model(str(metric_type))
        for a, b in contrasts(list(wide.columns), against):
            pair = wide[[a, b]].dropna()
            if pair.empty and design == PAIRED:
                continue
            scale = 0.0
            if largest is not None and of_returns:
                scale = max(float(largest.loc[(str(env), name)].max()) for name in (a, b))
            every = wide[a].dropna().to_numpy(), wide[b].dropna().to_numpy()
            level = 1 - alpha
            if design == UNPAIRED:
                row = compare_unpaired(*every, level, resamples, lower, scale)
            else:
                own = pair[a].to_numpy(), pair[b].to_numpy()
                row = compare(*own, level, resamples, every, lower, scale)
            row |= {"env": env, "metric_type": metric_type, "metric": metric(str(metric_type))}
            row |= {"method_a": a, "method_b": b}
            whole = STUDY_REWARD if of_reward_model(str(metric_type)) else "study"
            row["family"] = whole if family == "study" else f"{env}, {metric_type}"
            rows.append(row)
    table = pd.DataFrame(rows, columns=_COLUMNS.split())
    for _, members in table.groupby("family", sort=False):
        table.loc[members.index, "p_value_holm"] = holm(members["p_value"].to_numpy())
        level, alone = alpha / len(members), design == UNPAIRED
        found = [
            power(n_a if alone else n, EFFECT, level, n_b if alone else None)
            for n, n_a, n_b in members[["n", "n_a", "n_b"]].itertuples(index=False)
        ]
        table.loc[members.index, "power"] = found
        table.loc[members.index, "n_for_80"] = seeds_needed(EFFECT, level, unpaired=alone)
    table["reject_null"] = table["p_value_holm"] <= alpha
    return table.astype(dict.fromkeys(["n_for_80", "n_a", "n_b"], "int64"))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Step-down adjusted p-values of a family [m], in the order given (Holm 1979).

    statsmodels has them too; loading it takes longer than a small study's statistics.
    """
    order = np.argsort(p_values)
    left = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * left), 1.0)
    return adjusted


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
    `iqm` the interquartile mean. Raises FrameError if there are no rows.
    """
    require_rows(endpoints, "summary: endpoints")
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
