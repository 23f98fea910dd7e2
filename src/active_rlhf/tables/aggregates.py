"""Normalised returns across environments."""

import pandas as pd

from active_rlhf.analysis.wording import (
    Terms,
    capital,
    excluded_runs,
    interval,
    number,
    seeds,
    teacher_and_budget,
)
from active_rlhf.tables.cells import Table, best_bold, plain, table


def aggregates(frame: pd.DataFrame, terms: Terms, metric_type: str = "endpoint") -> Table:
    """Normalised returns, from the statistic `aggregates`; without baselines there are no rows."""
    rows = frame[frame["metric_type"] == metric_type]
    methods = terms.order(rows)
    columns = [("Method", plain(methods))]
    names = {"iqm": "IQM", "median": "Median", "mean": "Mean", "optimality_gap": "Optimality gap"}
    for key, name in names.items():
        cells = rows[rows["statistic"] == key].set_index("method").loc[methods]
        texts = [
            f"{number(row['value'], 2)} {interval(row['ci_low'], row['ci_high'], 2)}"
            for _, row in cells.iterrows()
        ]
        columns.append((name, best_bold(cells["value"], 2, texts, lowest=key == "optimality_gap")))
    return table(
        f"aggregates {metric_type}",
        f"{capital(terms.metric(metric_type, True))} across environments, normalised: "
        f"{terms.ends}. {seeds(rows['runs']) if methods else 'No'} "
        f"runs for each method. Interval: {terms.level} percentile bootstrap, stratified by "
        "environment. IQM: interquartile mean of all runs. Optimality gap: mean shortfall from 1. "
        "Bold: best, with ties at the precision shown.",
        columns,
        [
            f"Environments: {'; '.join(rows['environments'].unique())}."
            if methods
            else "No environment has baselines that can be told apart, to normalise by.",
            "No test is made here; see the pairwise comparisons.",
            teacher_and_budget(terms),
            excluded_runs(terms),
        ],
    )
