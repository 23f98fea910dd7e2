"""Methods across environments, on returns normalised between two baselines.

The statistics are those of Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the
Statistical Precipice", with percentile intervals from a bootstrap stratified by environment.

Every statistic takes `scores`, one array [n_e] of runs per environment, and `counts`, one array
[B, n_e] per environment that says how often each run occurs in each of B samples, and returns [B].
"""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from active_rlhf.analysis.curves import smoothed
from active_rlhf.analysis.endpoints import common_range, methods_of
from active_rlhf.analysis.frames import RUNS, needs
from active_rlhf.analysis.intervals import percentile_interval, resample_counts

Baselines = Mapping[str, tuple[float, float]]
Arrays = list[np.ndarray]
Statistic = Callable[[Arrays, Arrays], np.ndarray]

THRESHOLDS = np.round(np.linspace(0.0, 1.5, 76), 2)
PROGRESS = np.linspace(0.0, 1.0, 51)


def baseline_returns(
    episodes: pd.DataFrame, returns: str, low: str, high: str, last: int = 10
) -> Baselines:
    """The (low, high) returns of each environment, from the baselines' episodes in order of steps.

    episodes: `env, method, seed` and the column `returns`; low and high name the two methods. Each
    return is the mean over seeds of the mean over a run's last `last` episodes.
    """
    final = episodes.groupby(["env", "method", "seed"], observed=True)[returns].apply(
        lambda run: run.tail(last).mean()
    )
    means = final.groupby(level=["env", "method"]).mean().unstack("method")
    return {
        str(env): (float(a), float(b))
        for env, a, b in zip(means.index, means[low], means[high], strict=True)
    }


def normalised(endpoints: pd.DataFrame, baselines: Baselines) -> pd.DataFrame:
    """The values as (value - low) / (high - low), the environment's baselines being (low, high).

    0 is a random policy and 1 is PPO on the true reward. Environments without baselines, or where
    high is not above low, have no such scale and are left out.
    """
    scaled = {env: pair for env, pair in baselines.items() if pair[1] > pair[0]}
    frame = endpoints[endpoints["env"].isin(list(scaled))]
    low = frame["env"].map({env: pair[0] for env, pair in scaled.items()}).astype(float)
    high = frame["env"].map({env: pair[1] for env, pair in scaled.items()}).astype(float)
    return frame.assign(value=(frame["value"] - low) / (high - low))


def environment_means(scores: Arrays, counts: Arrays) -> np.ndarray:
    """Mean over the runs of each environment: [B, environments]."""
    return np.stack([c @ s / len(s) for s, c in zip(scores, counts, strict=True)], axis=-1)


def mean(scores: Arrays, counts: Arrays) -> np.ndarray:
    """Mean over environments of the mean over runs."""
    return environment_means(scores, counts).mean(axis=-1)


def median(scores: Arrays, counts: Arrays) -> np.ndarray:
    """Median over environments of the mean over runs."""
    return np.median(environment_means(scores, counts), axis=-1)


def iqm(scores: Arrays, counts: Arrays) -> np.ndarray:
    """Interquartile mean of all runs: the lowest and the highest floor(N/4) values dropped."""
    values = np.concatenate(scores)
    order = np.argsort(values)
    total, cut = len(values), len(values) // 4
    upto = np.cumsum(np.concatenate(counts, axis=-1)[:, order], axis=-1)
    kept = np.diff(np.clip(upto, cut, total - cut), axis=-1, prepend=cut)
    return kept @ values[order] / (total - 2 * cut)


def optimality_gap(scores: Arrays, counts: Arrays) -> np.ndarray:
    """How far the mean of min(score, 1) is below 1."""
    return 1 - mean([np.minimum(s, 1) for s in scores], counts)


STATISTICS: dict[str, Statistic] = {
    function.__name__: function for function in (iqm, median, mean, optimality_gap)
}


def profile(scores: Arrays, counts: Arrays, thresholds: np.ndarray) -> np.ndarray:
    """Share of runs whose score is above each threshold: [B, thresholds]."""
    above = np.concatenate(scores)[:, None] > thresholds
    return np.concatenate(counts, axis=-1) @ above / len(above)


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
    endpoints: pd.DataFrame, baselines: Baselines, alpha: float = 0.05, resamples: int = 10_000
) -> pd.DataFrame:
    """IQM, median, mean and optimality gap of each endpoint and method, normalised."""
    rows = []
    for metric_type, values in normalised(endpoints, baselines).groupby("metric_type", sort=False):
        for method, runs in by_environment(values).items():
            scores = list(runs.values())
            counts = resampled(scores, resamples, np.random.default_rng(0))
            what = (", ".join(runs), sum(map(len, scores)))
            for name, statistic in STATISTICS.items():
                estimate = estimated(statistic(scores, counts), alpha)
                rows.append((metric_type, method, name, *estimate, *what))
    columns = "metric_type method statistic value ci_low ci_high environments runs"
    return pd.DataFrame(rows, columns=columns.split())


@needs(endpoints="env method seed metric_type value")
def profiles(
    endpoints: pd.DataFrame, baselines: Baselines, alpha: float = 0.05, resamples: int = 10_000
) -> pd.DataFrame:
    """Performance profiles: share of runs above each normalised score from 0 to 1.5."""
    rows = []
    for metric_type, values in normalised(endpoints, baselines).groupby("metric_type", sort=False):
        for method, runs in by_environment(values).items():
            scores = list(runs.values())
            counts = resampled(scores, resamples, np.random.default_rng(0))
            shares = estimated(profile(scores, counts, THRESHOLDS), alpha)
            rows += [(metric_type, method, *row) for row in zip(THRESHOLDS, *shares, strict=True)]
    columns = "metric_type method threshold fraction ci_low ci_high"
    return pd.DataFrame(rows, columns=columns.split())


@needs(endpoints="env method seed metric_type value")
def improvements(
    endpoints: pd.DataFrame, alpha: float = 0.05, resamples: int = 10_000
) -> pd.DataFrame:
    """Probability that a run of a beats one of b: in each environment, and their mean (`all`).

    Every ordered pair; runs of the two methods are resampled independently. Needs no baselines.
    """
    rows = []
    for metric_type, values in endpoints.groupby("metric_type", sort=False):
        rng = np.random.default_rng(0)
        pooled: dict[tuple[str, str], np.ndarray] = {}
        shared: Counter[tuple[str, str]] = Counter()
        for env, group in values.groupby("env", sort=False):
            runs = {method: scores[str(env)] for method, scores in by_environment(group).items()}
            counts = {m: resampled([scores], resamples, rng)[0] for m, scores in runs.items()}
            for a, b in combinations(runs, 2):
                draws = improvement(runs[a], runs[b], counts[a], counts[b])
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
    runs: pd.DataFrame, baselines: Baselines, alpha: float = 0.05, resamples: int = 10_000
) -> pd.DataFrame:
    """IQM of the normalised running mean of returns against progress through training.

    `progress` 0 to 1 spans the steps common to an environment's runs, so that environments of
    different length can be pooled. The interval is pointwise.
    """
    grids = {
        env: np.interp(PROGRESS, [0, 1], common_range(group))
        for env, group in runs.groupby("env", sort=False)
    }
    rows = []
    for method in methods_of(runs):
        tables = [
            pd.DataFrame(smoothed(group, grids[env]), columns=PROGRESS).melt().assign(env=env)
            for env, group in runs[runs["method"] == method].groupby("env", sort=False)
        ]
        values = normalised(pd.concat(tables), baselines)
        counts: Arrays = []
        for progress, column in values.groupby("variable"):
            scores = [group["value"].to_numpy() for _, group in column.groupby("env", sort=False)]
            counts = counts or resampled(scores, resamples, np.random.default_rng(0))
            rows.append((method, progress, *estimated(iqm(scores, counts), alpha)))
    return pd.DataFrame(rows, columns=["method", "progress", "iqm", "ci_low", "ci_high"])
