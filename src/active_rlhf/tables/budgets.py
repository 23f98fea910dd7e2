"""The labels with which a level is reached."""

import numpy as np
import pandas as pd

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import Terms, decimals, excluded_runs, interval, number, seeds
from active_rlhf.tables.cells import Table, plain, table


@needs(labels_needed="env metric_type method share threshold n labels ci_low ci_high")
def budgets(
    labels_needed: pd.DataFrame, terms: Terms, env: str, metric_type: str = "endpoint"
) -> Table:
    """Labels needed for three levels of an endpoint on one environment."""
    rows = labels_needed[
        (labels_needed["env"] == env) & (labels_needed["metric_type"] == metric_type)
    ]
    methods = terms.order(rows)
    columns = [("Method", plain(methods))]
    for share, group in rows.groupby("share", sort=False):
        places = decimals(group["threshold"], metric_type)
        texts = [
            f"{number(row['labels'], 0)} {interval(row['ci_low'], row['ci_high'], 0)}"
            for _, row in group.set_index("method").loc[methods].iterrows()
        ]
        threshold = number(group["threshold"].iloc[0], places)
        columns.append((f"{share:.0%}: {threshold}", plain(texts)))
    reference = methods[0] if methods else "the first method"
    none = "" if methods else f"{terms.metric(metric_type)} does not gain from labels here"
    return table(
        f"budgets {env} {metric_type}",
        f"Labels with which a level of {terms.metric(metric_type, True)} is reached on {env}, from "
        f"runs of each budget; {seeds(rows['n'] if methods else [np.nan_to_num(0)])} runs of each "
        f"budget. Levels: shares of the way from {reference}'s mean at its smallest budget to that "
        "at its largest. Between budgets means are interpolated on a logarithmic scale. Interval: "
        f"{terms.level} percentile bootstrap over runs; ∞: not reached by the largest budget.",
        columns,
        ["No test is made here.", none and f"Empty, as {none}.", excluded_runs(terms, [env])],
    )
