"""Endpoints of each method."""

import pandas as pd

from active_rlhf.analysis.wording import (
    Terms,
    capital,
    decimals,
    excluded_runs,
    seeds,
    teacher_and_budget,
)
from active_rlhf.tables.cells import (
    Cell,
    Table,
    best_bold,
    intervals,
    mean_sd,
    numbers,
    plain,
    table,
)


def summary(frame: pd.DataFrame, terms: Terms, env: str = "") -> Table:
    """Endpoints on one environment or, without one, on all; from the statistic `summary`."""
    return _of_environment(frame, terms, env) if env else _of_all(frame, terms)


def _of_environment(frame: pd.DataFrame, terms: Terms, env: str) -> Table:
    """Endpoint and area under the curve of each method on one environment."""
    of_env = frame[frame["env"] == env]
    main, area = (
        rows.set_index("method").loc[terms.order(rows)]
        for rows in (of_env[of_env["metric_type"] == name] for name in ("endpoint", "auc"))
    )
    places, area_places = decimals([*main["mean"], *main["sd"]]), decimals(area["mean"])
    columns = [
        ("n", [Cell(str(n)) for n in main["n"]]),
        ("Mean ± sd", best_bold(main["mean"], places, mean_sd(main, places))),
        (f"{terms.level} interval", intervals(main["ci_low"], main["ci_high"], places)),
        ("Median", best_bold(main["median"], places)),
        ("IQM", best_bold(main["iqm"], places)),
        ("Min", numbers(main["min"], places)),
        ("Max", numbers(main["max"], places)),
        ("AUC ± sd", best_bold(area["mean"], area_places, mean_sd(area, area_places))),
    ]
    return table(
        f"summary {env}",
        f"{capital(terms.metric('endpoint', True))} on {env}, and AUC, the "
        f"{terms.metric('auc', True)}; {seeds(main['n'])} seeds. Interval: t interval of the mean. "
        "IQM: interquartile mean. Bold: best of a column, with ties at the precision shown.",
        [("Method", plain(main.index)), *columns],
        [
            "No test is made here; see the pairwise comparisons.",
            teacher_and_budget(terms, env),
            excluded_runs(terms, [env]),
        ],
    )


def _of_all(frame: pd.DataFrame, terms: Terms, metric_type: str = "endpoint") -> Table:
    """Mean and sd of one endpoint for each method and environment.

    Methods or environments are the columns, whichever are fewer.
    """
    frame = frame[frame["metric_type"] == metric_type]
    methods, envs = terms.order(frame), list(frame["env"].unique())
    by_env = {}
    for env in envs:
        rows = frame[frame["env"] == env].set_index("method").reindex(methods)
        places = decimals([*rows["mean"], *rows["sd"]])
        by_env[env] = best_bold(rows["mean"], places, mean_sd(rows, places))
    columns = [("Method", plain(methods)), *by_env.items()]
    if len(envs) > len(methods):
        cells = zip(*by_env.values(), strict=True)
        columns = [
            ("Environment", plain(envs)),
            *((method, list(row)) for method, row in zip(methods, cells, strict=True)),
        ]
    fewer = frame[frame["n"] < frame["n"].max()]
    fewer = [f"{row.method} on {row.env} ({row.n})" for row in fewer.itertuples()]
    return table(
        f"summary {metric_type}",
        f"{capital(terms.metric(metric_type, True))}: mean ± sd over {seeds(frame['n'])} seeds. "
        "Bold: best mean on an environment, with ties at the precision shown.",
        columns,
        [
            "No test is made here; see the pairwise comparisons.",
            f"Fewer seeds: {'; '.join(fewer)}." if fewer else "",
            teacher_and_budget(terms),
            excluded_runs(terms),
        ],
    )
