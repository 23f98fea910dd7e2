"""Label efficiency: the return that a number of labels buys, and the labels that a return costs.

Besides returns, the only input is the export's `labels` column, the number of queries asked by the
end of the episode. Baselines, which ask nothing, are left out.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from active_rlhf.analysis.curves import band, running_mean
from active_rlhf.analysis.endpoints import WINDOW, methods_of
from active_rlhf.analysis.frames import RUNS, needs
from active_rlhf.results.export import Exclusions, read_records

ACCURACIES = ("train_accuracy", "validation_accuracy", "probe_accuracy")
SHARES = (0.5, 0.75, 1.0)


def asking(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of methods that asked for labels."""
    if "labels" not in runs:
        return runs.iloc[:0].assign(labels=0)
    asked = runs.groupby(["env", "method"], observed=True)["labels"].transform("max")
    return runs[asked > 0]


def return_at_labels(run: pd.DataFrame, labels: np.ndarray) -> np.ndarray:
    """Running mean of returns at the last episode that had used at most each of `labels`.

    None may be less than the run's first number.
    """
    at = np.searchsorted(run["labels"].to_numpy(), labels, side="right") - 1
    return running_mean(run["return"].to_numpy())[at]


@needs(runs=RUNS)
def label_curves(runs: pd.DataFrame, alpha: float = 0.05, resamples: int = 10_000) -> pd.DataFrame:
    """One row per environment x method x number of labels that lies in the range of all runs."""
    columns = "env method labels n mean iqm sd ci_low ci_high"
    frames = []
    for env, group in asking(runs).groupby("env", sort=False):
        ends = group.groupby(["method", "seed"], observed=True)["labels"].agg(["min", "max"])
        occurring = np.unique(group["labels"])
        labels = occurring[(occurring >= ends["min"].max()) & (occurring <= ends["max"].min())]
        for method, members in group.groupby("method", sort=False, observed=True):
            by_run = [return_at_labels(run, labels) for _, run in members.groupby("seed")]
            keys = {"env": env, "method": method, "labels": labels}
            frames.append(pd.DataFrame(keys | band(np.stack(by_run), alpha, resamples)))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns.split())


def labels_to_reach(run: pd.DataFrame, threshold: float) -> float:
    """Labels used when the mean of ten successive episodes first reaches the threshold, or inf.

    For fewer than ten episodes, the mean of all counts.
    """
    window = min(WINDOW, len(run))
    reached = running_mean(run["return"].to_numpy())[window - 1 :] >= threshold
    if not reached.any():
        return np.inf
    return float(run["labels"].iloc[window - 1 + int(np.argmax(reached))])


def censored_median(values: np.ndarray) -> np.ndarray:
    """Lower median over the last axis: a value that occurs, so inf (not reached) is never
    averaged."""
    return np.sort(values, axis=-1)[..., (values.shape[-1] - 1) // 2]


@needs(runs=RUNS)
def labels_needed(runs: pd.DataFrame, alpha: float = 0.05, resamples: int = 10_000) -> pd.DataFrame:
    """Labels that runs need to reach levels set by the first method, per environment and method.

    The `threshold` is `share` of the way from where runs begin (the mean of the first ten episodes
    of all runs) to the mean final return of the method listed first. `median` is over all `n` runs,
    of which `reached` got there. Runs that never did count as later than all others, so a median or
    a bound among them is inf, "not reached". The interval is a percentile bootstrap of the median.
    If the first method learned nothing on an environment (its final return is not above the
    beginning), the environment is left out.
    """
    rows = []
    for env, group in asking(runs).groupby("env", sort=False):
        by_run = group.groupby(["method", "seed"], sort=False, observed=True)["return"]
        start = by_run.head(WINDOW).mean()
        first = methods_of(group)[0]
        goal = by_run.apply(lambda returns: returns.tail(WINDOW).mean())[first].mean()
        if goal <= start:
            continue
        for method, members in group.groupby("method", sort=False, observed=True):
            for share in SHARES:
                threshold = start + share * (goal - start)
                needed = np.array(
                    [labels_to_reach(run, threshold) for _, run in members.groupby("seed")]
                )
                n, rng = len(needed), np.random.default_rng(0)
                draws = censored_median(needed[rng.integers(n, size=(resamples, n))])
                low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2], method="inverted_cdf")
                reached = int(np.isfinite(needed).sum())
                median = float(censored_median(needed))
                rows.append((env, method, share, threshold, n, reached, median, low, high))
    columns = "env method share threshold n reached median ci_low ci_high"
    return pd.DataFrame(rows, columns=columns.split())


def read_sessions(
    exports: Mapping[str, str], asking: Mapping[str, str], exclude: Exclusions
) -> pd.DataFrame:
    """The query sessions of all runs: `env, method, seed, session, labels`, ACCURACIES and more.

    exports: environment -> its `.sessions.csv`; asking: selectors that ask for labels -> their
    names in tables, in table order; exclude: as in the study. Raises ExportError.
    """
    excluded = [run for run in exclude if run["method"] in {*asking, *asking.values()}]
    return read_records(exports, asking, excluded, ("session", "labels"), ACCURACIES)
