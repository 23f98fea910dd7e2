"""Ranks of methods over blocks: Friedman, Iman-Davenport, and Nemenyi's critical difference."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy

from active_rlhf.analysis.endpoints import by_seed, methods_of
from active_rlhf.analysis.frames import needs
from active_rlhf.study.measures import lower_is_better


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Mean rank of each column of values [blocks, methods]; 1 is the largest, ties share."""
    return scipy.stats.rankdata(-values, axis=1).mean(axis=0)


def friedman(values: np.ndarray) -> tuple[float, float, float, float]:
    """(chi2, p, F, p of F) for equal methods, from values [blocks N, methods k].

    chi2 is Friedman's with the correction for ties (Conover 1999); F = (N-1) chi2 / (N(k-1) - chi2)
    on k - 1 and (k-1)(N-1) degrees of freedom is Iman and Davenport's (1980), which is less
    conservative. NaN for one block, or if every block is tied throughout.
    """
    n, k = values.shape
    ranks = scipy.stats.rankdata(-values, axis=1)
    spread = np.sum(ranks**2) - n * k * (k + 1) ** 2 / 4
    if n < 2 or spread == 0:
        return np.nan, np.nan, np.nan, np.nan
    chi2 = n * (k - 1) * np.sum((ranks.mean(axis=0) - (k + 1) / 2) ** 2) / (spread / n)
    chi2 = min(chi2, n * (k - 1))  # rounding may exceed the maximum, where F is infinite
    left = n * (k - 1) - chi2
    f = (n - 1) * chi2 / left if left > 0 else np.inf
    p_f = scipy.stats.f.sf(f, k - 1, (k - 1) * (n - 1))
    return float(chi2), float(scipy.stats.chi2.sf(chi2, k - 1)), float(f), float(p_f)


def critical_difference(k: int, n: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference: mean ranks of k methods over n blocks that are this far apart
    differ at level alpha.

    q sqrt(k(k+1) / 6n), q the studentized range quantile (infinite df) / sqrt 2 (Demsar 2006).
    """
    q = scipy.stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(k * (k + 1) / (6 * n)))


def _blocks(values: pd.DataFrame, paired: bool) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(environment, kind of blocks, blocks x methods) of one endpoint; only complete blocks."""
    methods = methods_of(values)
    if not paired:
        means = values.astype({"method": str}).groupby(["env", "method"], sort=False)["value"]
        table = means.mean().unstack().reindex(columns=methods).dropna()
        if len(table) > 1:
            yield "all", "environments", table
        return
    tables = {
        str(env): by_seed(group).reindex(columns=methods).dropna()
        for env, group in values.groupby("env", sort=False)
    }
    for env, table in tables.items():
        yield env, "seeds", table
    if len(tables) > 1:
        yield "all", "environments x seeds", pd.concat(tables.values())
        of_seeds = {env: table.mean() for env, table in tables.items() if len(table)}
        yield "all", "environments", pd.DataFrame(of_seeds).T


@needs(endpoints="env method seed metric_type value")
def ranks(endpoints: pd.DataFrame, alpha: float = 0.05, paired: bool = True) -> pd.DataFrame:
    """Mean ranks and their tests for each endpoint: within each environment and over `all`.

    1 is best: the largest value, or the smallest of an error.

    Blocks are the seeds that all methods have. Over all environments they are either environments x
    seeds, which speaks about these environments, or environments with the mean over seeds
    (Demsar's use), which speaks about environments like them. Only the latter, over all runs, if
    runs are not paired by seed.
    """
    rows = []
    for metric_type, values in endpoints.groupby("metric_type", sort=False):
        if lower_is_better(str(metric_type)):
            values = values.assign(value=-values["value"])
        for env, blocks, table in _blocks(values, paired):
            n, k = table.shape
            if n == 0 or k < 2:
                continue
            tests = (*friedman(table.to_numpy()), critical_difference(k, n, alpha))
            for method, rank in zip(table.columns, mean_ranks(table.to_numpy()), strict=True):
                rows.append((metric_type, env, blocks, n, method, rank, *tests))
    columns = "metric_type env blocks n_blocks method mean_rank chi2 p_friedman f p_iman_davenport"
    return pd.DataFrame(rows, columns=[*columns.split(), "critical_difference"])
