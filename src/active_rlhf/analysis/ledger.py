"""What the teacher answered, and how much of it the reward model learned from."""

import numpy as np
import pandas as pd

ANSWERS = ("first", "second", "equal", "skipped")
FORMER = {"tied": "equal"}  # in exports of earlier versions, which lack the others


def answers(sessions: pd.DataFrame) -> pd.DataFrame:
    """One row per environment x method: means over its `n` runs of a run's queries by kind.

    Takes the frame of `analysis.labels.read_sessions`. `asked` queries had the ANSWERS, or none yet
    (`pending`); `held_out` of them validate the reward model, which learned from `used`. `pool` and
    `shortlist` are the pairs of a session that a selector and its picker chose from, means over
    sessions. NaN where an export does not tell.
    """
    counts = ["asked", *ANSWERS, "held_out", "used"]
    columns = [*counts, "pool", "shortlist"]
    keys = ["env", "method", "seed"]
    known = sessions.rename(columns=FORMER)
    known = known.reindex(columns=[*keys, *columns]).astype(dict.fromkeys(columns, np.float64))
    how = dict.fromkeys(counts, _sum) | dict.fromkeys(("pool", "shortlist"), "mean")
    runs = known.groupby(keys, sort=False, observed=True).agg(how).reset_index()
    runs["pending"] = runs["asked"] - runs[list(ANSWERS)].sum(axis=1, skipna=False)
    groups = runs.groupby(["env", "method"], sort=False, observed=True)
    means = groups[[*columns, "pending"]].mean()
    means.insert(0, "n", groups.size())
    return means.reset_index()


def _sum(values: pd.Series) -> float:
    return float(values.sum(skipna=False))
