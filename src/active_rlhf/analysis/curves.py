"""Learning curves: a method's runs at each step."""

import numpy as np
import pandas as pd

from active_rlhf.analysis.comparisons import interquartile_mean
from active_rlhf.analysis.endpoints import WINDOW, common_range
from active_rlhf.analysis.frames import RUNS, needs
from active_rlhf.analysis.intervals import percentile_interval, seeded_counts

POINTS = 101


def running_mean(returns: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Mean of each return and up to window - 1 before it; the last value is `final`."""
    return pd.Series(returns).rolling(window, min_periods=1).mean().to_numpy()


def smoothed(runs: pd.DataFrame, steps: np.ndarray) -> np.ndarray:
    """Running means [runs, steps] of the runs of one environment and method, at these steps.

    Interpolated linearly; the steps must lie in the range common to the runs.
    """
    curves = []
    for _, run in runs.groupby("seed", sort=False):
        means, at = running_mean(run["return"].to_numpy()), run["step"].to_numpy()
        last = np.append(np.diff(at) > 0, True)  # of the episodes that end at one step
        curves.append(np.interp(steps, at[last], means[last]))
    return np.stack(curves)


def band(values: np.ndarray, alpha: float = 0.05, resamples: int = 10_000) -> dict:
    """`n, mean, iqm, sd, ci_low, ci_high` of each column of values [runs, points].

    The interval is a pointwise percentile bootstrap of the mean over runs, which are drawn whole.
    """
    n = len(values)
    draws = seeded_counts(n, resamples) @ values / n
    low, high = percentile_interval(draws, 1 - alpha)
    return {
        "n": n,
        "mean": values.mean(axis=0),
        "iqm": interquartile_mean(values, axis=0),
        "sd": values.std(axis=0, ddof=1) if n > 1 else np.nan,
        "ci_low": low,
        "ci_high": high,
    }


@needs(runs=RUNS)
def curves(runs: pd.DataFrame, alpha: float = 0.05, resamples: int = 10_000) -> pd.DataFrame:
    """One row per environment x method x step, at 101 steps that all its runs cover.

    None of an environment where each run has but one row.
    """
    frames = []
    for env, group in runs.groupby("env", sort=False):
        if not group.duplicated(["method", "seed"]).any():
            continue
        steps = np.linspace(*common_range(group), POINTS)
        for method, members in group.groupby("method", sort=False, observed=True):
            keys = {"env": env, "method": method, "step": steps}
            frames.append(pd.DataFrame(keys | band(smoothed(members, steps), alpha, resamples)))
    if not frames:
        columns = "env method step n mean iqm sd ci_low ci_high"
        frames = [pd.DataFrame(columns=columns.split(), dtype=float).astype({"env": str})]
    return pd.concat(frames, ignore_index=True).astype({"method": runs["method"].dtype})


@needs(runs=f"{RUNS} labels")
def label_curves(runs: pd.DataFrame, alpha: float = 0.05, resamples: int = 10_000) -> pd.DataFrame:
    """The same against labels: what each run's running mean is when its next labels are asked.

    A learning curve of one budget, as more labels come with more training. None of an environment
    where no two numbers of labels are common to all runs.
    """
    last = runs.duplicated(["env", "method", "seed", "labels"], keep="last")
    means = runs.assign(
        **{
            "return": runs.groupby(["env", "method", "seed"], sort=False, observed=True)["return"]
            .rolling(WINDOW, min_periods=1)
            .mean()
            .to_numpy()
        }
    )[~last]
    frames = []
    for env, group in means.groupby("env", sort=False):
        ends = group.groupby(["method", "seed"], observed=True)["labels"].agg(["first", "last"])
        low, high = float(ends["first"].max()), float(ends["last"].min())
        if low >= high:
            continue
        labels = np.linspace(low, high, POINTS)
        for method, members in group.groupby("method", sort=False, observed=True):
            values = [
                np.interp(labels, run["labels"], run["return"])
                for _, run in members.groupby("seed", sort=False)
            ]
            keys = {"env": env, "method": method, "labels": labels}
            frames.append(pd.DataFrame(keys | band(np.stack(values), alpha, resamples)))
    if not frames:
        columns = "env method labels n mean iqm sd ci_low ci_high"
        frames = [pd.DataFrame(columns=columns.split(), dtype=float).astype({"env": str})]
    return pd.concat(frames, ignore_index=True).astype({"method": runs["method"].dtype})
