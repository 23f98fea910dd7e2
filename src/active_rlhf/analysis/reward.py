"""Endpoints of the reward model: how good it is on the probe set."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from active_rlhf.analysis.frames import SESSIONS, needs, require
from active_rlhf.study.measures import OVER_LABELS, REWARD_MODEL, both_forms


@needs(sessions=SESSIONS)
def reward_endpoints(sessions: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Endpoints of the reward models, in both forms: `env, method, seed, metric_type, value`.

    sessions: as `analysis.labels.read_sessions` reads them. A measure `<name>` is that after the
    last session; `<name>_auc` is its mean over labels: the area under the measure against the
    labels asked by then, by trapezoids, divided by their range (the value itself, if there is one
    session). A run where a measure is undefined, at the end or in any session, has no such value.
    Raises FrameError if the column of a measure is missing.
    """
    require(sessions, " ".join(REWARD_MODEL[name] for name in names), "reward_endpoints: sessions")
    rows = []
    keys = ["env", "method", "seed"]
    for key, run in sessions.groupby(keys, sort=False, observed=True):
        run = run.sort_values("session")
        for name in names:
            values = run[REWARD_MODEL[name]].to_numpy(float)
            rows.append((*key, name, values[-1]))
            mean = mean_over_labels(values, run["labels"].to_numpy(float))
            rows.append((*key, name + OVER_LABELS, mean))
    frame = pd.DataFrame(rows, columns=[*keys, "metric_type", "value"]).dropna(subset="value")
    order = pd.Categorical(frame["metric_type"], both_forms(names), ordered=True)
    frame = frame.assign(order=order).sort_values("order", kind="stable").drop(columns="order")
    return frame.astype({"method": sessions["method"].dtype}).reset_index(drop=True)


def mean_over_labels(values: np.ndarray, labels: np.ndarray) -> float:
    """Area under values [sessions] against labels [sessions], divided by the range of labels.

    NaN if a value is.
    """
    spread = labels[-1] - labels[0]
    return float(np.trapezoid(values, labels) / spread) if spread > 0 else float(values.mean())
