"""Label efficiency: what runs of different label budgets end at, and the labels that a level costs.

Each budget has runs of its own. A curve over the sessions of one budget would say something else:
early sessions of a long run are followed by more training than the runs of a small budget have.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from active_rlhf.analysis.curves import band
from active_rlhf.analysis.endpoints import methods_of
from active_rlhf.analysis.frames import needs
from active_rlhf.study.measures import lower_is_better

SHARES = (0.5, 0.75, 0.9)


@needs(endpoints="variant env method seed metric_type value")
def budgets(
    endpoints: pd.DataFrame,
    labels: Mapping[str, Mapping[str, int]],
    alpha: float = 0.05,
    resamples: int = 10_000,
) -> pd.DataFrame:
    """One row per environment x endpoint x method x budget, budgets in rising order.

    labels: variant -> environment -> queries of a run. The interval is a percentile bootstrap of
    the mean over runs.
    """
    columns = "env metric_type method labels n mean iqm sd ci_low ci_high"
    rows = []
    for (env, metric_type), group in endpoints.groupby(["env", "metric_type"], sort=False):
        for method in methods_of(group):
            for total, values in _by_budget(group, str(env), method, labels).items():
                found = {
                    key: np.ravel(value)[0]
                    for key, value in band(values[:, None], alpha, resamples).items()
                }
                keys = {"env": env, "metric_type": metric_type, "method": method, "labels": total}
                rows.append(keys | found)
    return pd.DataFrame(rows, columns=columns.split())


@needs(endpoints="variant env method seed metric_type value")
def labels_needed(
    endpoints: pd.DataFrame,
    labels: Mapping[str, Mapping[str, int]],
    alpha: float = 0.05,
    resamples: int = 10_000,
) -> pd.DataFrame:
    """Labels with which each method reaches a level: environment x endpoint x method x share.

    The `threshold` is `share` of the way from the mean of the first method at its smallest budget
    to its mean at its largest. `labels` is where the method's means first reach it (an error, by
    falling to it), interpolated between budgets on a logarithmic scale of labels: the smallest
    budget if that reaches it, inf if none does. The interval is a percentile bootstrap over runs,
    within each budget, of the method's means; the threshold is held fixed. Environments where the
    first method does not gain from more labels are left out.
    """
    rows = []
    for (env, metric_type), group in endpoints.groupby(["env", "metric_type"], sort=False):
        better = -1 if lower_is_better(str(metric_type)) else 1
        group = group.assign(value=better * group["value"])
        by_method = {
            method: _by_budget(group, str(env), method, labels) for method in methods_of(group)
        }
        first = list(next(iter(by_method.values())).values())
        if len(first) < 2 or first[-1].mean() <= first[0].mean():
            continue
        low, high = first[0].mean(), first[-1].mean()
        for method, runs in by_method.items():
            totals = np.array(list(runs), float)
            means = np.array([[values.mean()] for values in runs.values()])
            generator = np.random.default_rng(0)
            drawn = np.stack(
                [
                    values[generator.integers(len(values), size=(resamples, len(values)))].mean(1)
                    for values in runs.values()
                ]
            )
            for share in SHARES:
                threshold = low + share * (high - low)
                needed = reached(totals, means, threshold)[0]
                ends = np.quantile(
                    reached(totals, drawn, threshold),
                    [alpha / 2, 1 - alpha / 2],
                    method="inverted_cdf",  # infinity is never averaged
                )
                n = min(map(len, runs.values()))
                rows.append((env, metric_type, method, share, better * threshold, n, needed, *ends))
    columns = "env metric_type method share threshold n labels ci_low ci_high"
    return pd.DataFrame(rows, columns=columns.split())


def reached(labels: np.ndarray, means: np.ndarray, threshold: float) -> np.ndarray:
    """Where curves `means` [budgets, curves] over `labels` [budgets] first reach the threshold."""
    above = means >= threshold
    at = above.argmax(axis=0)
    before = np.maximum(at - 1, 0)
    curve = np.arange(means.shape[1])
    rise = means[at, curve] - means[before, curve]
    way = np.divide(threshold - means[before, curve], rise, out=np.ones_like(rise), where=rise > 0)
    found = np.exp(np.log(labels[before]) * (1 - way) + np.log(labels[at]) * way)
    return np.where(above.any(axis=0), np.where(at == 0, labels[0], found), np.inf)


def _by_budget(
    group: pd.DataFrame, env: str, method: str, labels: Mapping[str, Mapping[str, int]]
) -> dict[int, np.ndarray]:
    """Values of a method's runs, by number of labels in rising order."""
    own = group[group["method"] == method]
    found = {
        labels[variant][env]: own.loc[own["variant"] == variant, "value"].to_numpy(float)
        for variant in labels
    }
    return {total: found[total] for total in sorted(found) if len(found[total])}
