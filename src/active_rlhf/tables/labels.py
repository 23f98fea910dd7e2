"""The number of labels needed to reach a level of return."""

import pandas as pd

from active_rlhf.analysis.wording import (
    Terms,
    decimals,
    excluded_runs,
    interval,
    number,
    seeds,
    teacher_and_budget,
)
from active_rlhf.tables.cells import Table, plain, table


def labels(frame: pd.DataFrame, terms: Terms, env: str) -> Table:
    """Labels needed for three levels of return on one environment, from the statistic `labels`."""
    rows = frame[frame["env"] == env]
    methods = terms.order(rows)
    columns = [("Method", plain(methods))]
    for share, group in rows.groupby("share", sort=False):
        places = decimals(group["threshold"])
        texts = [
            f"{number(row['median'], 0)} {interval(row['ci_low'], row['ci_high'], 0)}"
            f" {row['reached']}/{row['n']}"
            for _, row in group.set_index("method").loc[methods].iterrows()
        ]
        threshold = number(group["threshold"].iloc[0], places)
        columns.append((f"{share:.0%}: return {threshold}", plain(texts)))
    reference = methods[0] if methods else "the first method"
    return table(
        f"labels {env}",
        f"Labels used until the mean of ten episodes first reaches a level on {env}: median over "
        f"{seeds(rows['n']) if methods else 'no'} runs, interval, number of runs that reached it. "
        "The levels "
        f"are shares of the way from where runs begin to the mean final return of {reference}. "
        f"Interval: {terms.level} percentile bootstrap of the median; ∞: not reached.",
        columns,
        [
            "No test is made here." if methods else "These runs do not record labels.",
            teacher_and_budget(terms, env),
            excluded_runs(terms, [env]),
        ],
    )
