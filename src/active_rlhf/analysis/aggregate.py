"""Methods across environments, on returns normalised between two baselines.

The statistics are those of Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the
Statistical Precipice", with percentile intervals from a bootstrap stratified by environment.

Every statistic takes `scores`, one array [n_e] or [B, n_e] of runs per environment, and `counts`,
one array [B, n_e] per environment that says how often each run occurs in each of B samples, and
returns [B]. Scores differ between samples because the baselines that normalise them are resampled
too.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from active_rlhf.analysis.curves import smoothed
from active_rlhf.analysis.endpoints import common_range, methods_of
from active_rlhf.analysis.frames import RUNS, needs
from active_rlhf.analysis.intervals import percentile_interval, resample_counts
from active_rlhf.study.measures import lower_is_better

Scale = Mapping[str, tuple[np.ndarray, np.ndarray]]  # environment -> values that count as 0 and 1
Scales = Mapping[str, Scale]  # by metric_type
Ends = dict[str, tuple[np.ndarray, np.ndarray]]
Arrays = list[np.ndarray]
Statistic = Callable[[Arrays, Arrays], np.ndarray]

THRESHOLDS = np.round(np.linspace(0.0, 1.5, 76), 2)
PROGRESS = np.linspace(0.0, 1.0, 51)


def scales(baselines: pd.DataFrame, low: str, high: str) -> Scales:
    """The scale of every endpoint from the baselines' `endpoints`; low and high name the two.

    Each endpoint is normalised by the baselines' values of the same endpoint.
    """
    return {
        str(metric_type): {
            str(env): (runs[low], runs[high])
            for env, group in values.groupby("env", sort=False)
            for runs in [by_method(group)]
            if low in runs and high in runs
        }
        for metric_type, values in baselines.groupby("metric_type", sort=False)
    }


def resampled_ends(scale: Scale, resamples: int) -> Ends:
    """The means of both baselines, [1 + resamples] each: of the runs, then of bootstraps of them.

    Without a scale is an environment where some resample does not put high above low: it cannot
    tell the two apart. It is left out.
    """
    rng = np.random.default_rng(1)  # a stream apart from that of the methods' runs
    drawn = {
        env: tuple(
            counts @ values / len(values)
            for counts, values in zip(resampled(list(pair), resamples, rng), pair, strict=True)
        )
        for env, pair in scale.items()
    }
    return {env: (low, high) for env, (low, high) in drawn.items() if np.all(high > low)}


def normalised(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(values - low) / (high - low), for values [n] and ends [B]: [B, n].

    0 is a random policy; 1 is PPO on the true reward, which is a yardstick and no ceiling.
    """
    return (values - low[:, None]) / (high - low)[:, None]


def environment_means(scores: Arrays, counts: Arrays) -> np.ndarray:
    """Mean over the runs of each environment: [B, environments]."""
    means = [np.sum(c * s, axis=-1) / s.shape[-1] for s, c in zip(scores, counts, strict=True)]
    return np.stack(means, axis=-1)


def mean(scores: Arrays, counts: Arrays) -> np.ndarray:
    """Mean over environments of the mean over runs."""
    return environment_means(scores, counts).mean(axis=-1)


def median(scores: Arrays, counts: Arrays) -> np.ndarray:
    """Median over environments of the mean over runs."""
    return np.median(environment_means(scores, counts), axis=-1)


def iqm(scores: Arrays, counts: Arrays) -> np.ndarray:
    """Interquartile mean of all runs: the lowest and the highest floor(N/4) values dropped."""
    values, drawn = (np.concatenate(arrays, axis=-1) for arrays in (scores, counts))
    order = np.broadcast_to(np.argsort(values, axis=-1), drawn.shape)
    values = np.take_along_axis(np.broadcast_to(values, drawn.shape), order, axis=-1)
    upto = np.cumsum(np.take_along_axis(drawn, order, axis=-1), axis=-1)
    total, cut = values.shape[-1], values.shape[-1] // 4
    kept = np.diff(np.clip(upto, cut, total - cut), axis=-1, prepend=cut)
    return np.sum(kept * values, axis=-1) / (total - 2 * cut)


def optimality_gap(scores: Arrays, counts: Arrays) -> np.ndarray:
    """How far the mean of min(score, 1) is below 1."""
    return 1 - mean([np.minimum(s, 1) for s in scores], counts)


STATISTICS: dict[str, Statistic] = {
    function.__name__: function for function in (iqm, median, mean, optimality_gap)
}


def profile(scores: Arrays, counts: Arrays, thresholds: np.ndarray) -> np.ndarray:
    """Share of runs whose score is above each threshold: [B, thresholds]."""
    values, drawn = (np.concatenate(arrays, axis=-1) for arrays in (scores, counts))
    above = [np.sum(drawn * (values > threshold), axis=-1) for threshold in thresholds]
    return np.stack(above, axis=-1) / values.shape[-1]


def improvement(
    a: np.ndarray, b: np.ndarray, counts_a: np.ndarray, counts_b: np.ndarray
) -> np.ndarray:
    """P(a > b) + P(a = b) / 2 in one environment, a and b being independent: [B]."""
    wins = (np.sign(np.subtract.outer(a, b)) + 1) / 2
    return np.sum((counts_a @ wins) * counts_b, axis=-1) / wins.size


def resampled(scores: Arrays, resamples: int, rng: np.random.Generator) -> Arrays:
    """Counts [1 + resamples, n_e]: the sample itself, then bootstraps within each environment."""
    return [np.vstack([np.ones(len(s)), resample_counts(len(s), resamples, rng)]) for s in scores]


def estimated(draws: np.ndarray, alpha: float) -> tuple:
    """(estimate, low, high) of draws [1 + resamples, ...] made with `resampled` counts."""
    return draws[0], *percentile_interval(draws[1:], 1 - alpha)


def by_method(values: pd.DataFrame) -> dict[str, np.ndarray]:
    """method -> values of its runs, in one environment."""
    return {
        method: values["value"][values["method"] == method].to_numpy()
        for method in methods_of(values)
    }


def by_environment(values: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """method -> environment -> values of its runs."""
    return {
        method: {
            str(env): group["value"].to_numpy()
            for env, group in values[values["method"] == method].groupby("env", sort=False)
        }
        for method in methods_of(values)
    }


@needs(endpoints="env method seed metric_type value")
def aggregates(
    endpoints: pd.DataFrame, scales: Scales, alpha: float = 0.05, resamples: int = 10_000
) -> pd.DataFrame:
    """IQM, median, mean and optimality gap of each endpoint and method, normalised."""
    rows = []
    for metric_type, method, envs, scores, counts in _pooled(endpoints, scales, resamples):
        what = (", ".join(envs), sum(count.shape[-1] for count in counts))
        for name, statistic in STATISTICS.items():
            estimate = estimated(statistic(scores, counts), alpha)
            rows.append((metric_type, method, name, *estimate, *what))
    columns = "metric_type method statistic value ci_low ci_high environments runs"
    return pd.DataFrame(rows, columns=columns.split())


@needs(endpoints="env method seed metric_type value")
def profiles(
    endpoints: pd.DataFrame, scales: Scales, alpha: float = 0.05, resamples: int = 10_000
) -> pd.DataFrame:
    """Performance profiles: share of runs above each normalised score from 0 to 1.5."""
    rows = []
    for metric_type, method, _, scores, counts in _pooled(endpoints, scales, resamples):
        shares = estimated(profile(scores, counts, THRESHOLDS), alpha)
        rows += [(metric_type, method, *row) for row in zip(THRESHOLDS, *shares, strict=True)]
    columns = "metric_type method threshold fraction ci_low ci_high"
    return pd.DataFrame(rows, columns=columns.split())


def _pooled(
    endpoints: pd.DataFrame, scales: Scales, resamples: int
) -> Iterator[tuple[str, str, list[str], Arrays, Arrays]]:
    """(metric_type, method, environments, scores, counts) of what has a scale.

    Methods and baselines are resampled independently.
    """
    for metric_type, values in endpoints.groupby("metric_type", sort=False):
        ends = resampled_ends(scales.get(str(metric_type), {}), resamples)
        for method, runs in by_environment(values[values["env"].isin(list(ends))]).items():
            counts = resampled(list(runs.values()), resamples, np.random.default_rng(0))
            scores = [normalised(runs[env], *ends[env]) for env in runs]
            yield str(metric_type), method, list(runs), scores, counts


@needs(endpoints="env method seed metric_type value")
def improvements(
    endpoints: pd.DataFrame, alpha: float = 0.05, resamples: int = 10_000
) -> pd.DataFrame:
    """Probability that a run of a is better than one of b: in each environment, and their mean
    (`all`). Better is larger, or smaller for an error.

    Every ordered pair; runs of the two methods are resampled independently. Needs no baselines.
    """
    rows = []
    for metric_type, values in endpoints.groupby("metric_type", sort=False):
        rng = np.random.default_rng(0)
        pooled: dict[tuple[str, str], np.ndarray] = {}
        shared: Counter[tuple[str, str]] = Counter()
        if lower_is_better(str(metric_type)):
            values = values.assign(value=-values["value"])
        for env, group in values.groupby("env", sort=False):
            runs = {method: scores[str(env)] for method, scores in by_environment(group).items()}
            # Small, as there may be thousands of runs, and those of all methods are kept.
            counts = {
                m: resampled([scores], resamples, rng)[0].astype(np.int16)
                for m, scores in runs.items()
            }
            for a, b in combinations(runs, 2):
                of_a, of_b = counts[a].astype(float), counts[b].astype(float)
                draws = improvement(runs[a], runs[b], of_a, of_b)
                pooled[a, b] = pooled.get((a, b), 0.0) + draws
                shared[a, b] += 1
                rows.append((metric_type, env, a, b, *estimated(draws, alpha)))
        for (a, b), total in pooled.items():
            mean_draws = total / shared[a, b]
            rows.append((metric_type, "all", a, b, *estimated(mean_draws, alpha)))
    turned = [
        (m, env, b, a, 1 - value, 1 - high, 1 - low) for m, env, a, b, value, low, high in rows
    ]
    both = [row for pair in zip(rows, turned, strict=True) for row in pair]
    columns = "metric_type env method_a method_b value ci_low ci_high"
    return pd.DataFrame(both, columns=columns.split())


@needs(runs=RUNS)
def efficiency(
    runs: pd.DataFrame, scale: Scale, alpha: float = 0.05, resamples: int = 10_000
) -> pd.DataFrame:
    """IQM of the normalised running mean of returns against progress through training.

    scale: of final returns, where the running mean ends. `progress` 0 to 1 spans the steps common
    to an environment's runs, so that environments of different length can be pooled. The interval
    is pointwise.
    """
    ends = resampled_ends(scale, resamples)
    grids = {
        str(env): np.interp(PROGRESS, [0, 1], common_range(group))
        for env, group in runs.groupby("env", sort=False)
    }
    rows = []
    for method in methods_of(runs):
        own = runs[(runs["method"] == method) & runs["env"].isin(list(ends))]
        tables = {
            str(env): smoothed(group, grids[str(env)])
            for env, group in own.groupby("env", sort=False)
        }
        if not tables:
            continue
        firsts = [table[:, 0] for table in tables.values()]
        counts = resampled(firsts, resamples, np.random.default_rng(0))
        for i, progress in enumerate(PROGRESS):
            scores = [normalised(table[:, i], *ends[env]) for env, table in tables.items()]
            rows.append((method, progress, *estimated(iqm(scores, counts), alpha)))
    return pd.DataFrame(rows, columns=["method", "progress", "iqm", "ci_low", "ci_high"])
