"""Endpoints of each method."""

import pandas as pd

from active_rlhf.analysis.wording import (
    Terms,
    capital,
    decimals,
    excluded_runs,
    of_seeds,
    teacher_and_budget,
)
from active_rlhf.tables.cells import (
    Cell,
    Column,
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
    """Endpoint, those beside it and area under the curve of each method on one environment."""
    of_env = frame[frame["env"] == env]
    shown = [name for name in ("endpoint", "auc") if name in set(of_env["metric_type"])]
    shown += terms.beside(of_env)
    main, *more = (
        rows.set_index("method").loc[terms.order(rows)]
        for rows in (of_env[of_env["metric_type"] == name] for name in shown)
    )
    others = dict(zip(shown[1:], more, strict=True))
    area = others.pop("auc", None)
    places = decimals([*main["mean"], *main["sd"]])
    columns = [
        ("n", [Cell(str(n)) for n in main["n"]]),
        ("Mean ± sd", best_bold(main["mean"], places, mean_sd(main, places))),
        (f"{terms.level} interval", intervals(main["ci_low"], main["ci_high"], places)),
        ("Median", best_bold(main["median"], places)),
        ("IQM", best_bold(main["iqm"], places)),
        ("Min", numbers(main["min"], places)),
        ("Max", numbers(main["max"], places)),
        *(mean_and_sd(name.capitalize(), rows) for name, rows in others.items()),
        *([] if area is None else [mean_and_sd("AUC", area)]),
    ]
    others_defined = [f"{name.capitalize()}: {terms.metric(name, True)}. " for name in others]
    return table(
        f"summary {env}",
        f"{capital(terms.metric('endpoint', True))} on {env}"
        + (f", and AUC, the {terms.metric('auc', True)}" if area is not None else "")
        + f"; {of_seeds(main['n'])}. {''.join(others_defined)}"
        "Interval: t interval of the mean. IQM: interquartile mean. Bold: best of a column, with "
        "ties at the precision shown.",
        [("Method", plain(main.index)), *columns],
        [
            "No test is made here; see the pairwise comparisons.",
            teacher_and_budget(terms, env),
            excluded_runs(terms, [env]),
        ],
    )


def mean_and_sd(name: str, rows: pd.DataFrame) -> Column:
    places = decimals(rows["mean"])
    return f"{name} ± sd", best_bold(rows["mean"], places, mean_sd(rows, places))


def _of_all(frame: pd.DataFrame, terms: Terms) -> Table:
    """Mean and sd of the endpoint and those beside it, for each method and environment.

    Methods or environments are the columns, whichever are fewer.
    """
    shown = ["endpoint", *terms.beside(frame)]
    frame = frame[frame["metric_type"].isin(shown)]
    methods, envs = terms.order(frame), list(frame["env"].unique())
    turned = len(envs) > len(methods)
    heads, sides = (methods, envs) if turned else (envs, methods)
    cells: dict[str, list[Cell]] = {head: [] for head in heads}
    for name in shown:
        of_name = frame[frame["metric_type"] == name]
        by_env = {}
        for env in envs:
            rows = of_name[of_name["env"] == env].set_index("method").reindex(methods)
            places = decimals([*rows["mean"], *rows["sd"]])
            by_env[env] = best_bold(rows["mean"], places, mean_sd(rows, places))
        texts = list(by_env.values())
        for head, column in zip(heads, zip(*texts, strict=True) if turned else texts, strict=True):
            cells[head] += column
    columns = [("Environment" if turned else "Method", plain(sides * len(shown))), *cells.items()]
    if len(shown) > 1:
        of = [terms.metric(name) for name in shown for _ in sides]
        columns.insert(0, ("Endpoint", plain(map(capital, of))))
    main = frame[frame["metric_type"] == "endpoint"]
    fewer = main[main["n"] < main["n"].max()]
    fewer = [f"{row.method} on {row.env} ({row.n})" for row in fewer.itertuples()]
    defined = capital("; ".join(terms.metric(name, True) for name in shown))
    return table(
        "summary endpoint",
        f"{defined}: mean ± sd over {of_seeds(main['n'])}. "
        "Bold: best mean on an environment, with ties at the precision shown.",
        columns,
        [
            "No test is made here; see the pairwise comparisons.",
            f"Fewer seeds: {'; '.join(fewer)}." if fewer else "",
            teacher_and_budget(terms),
            excluded_runs(terms),
        ],
        left=1 + (len(shown) > 1),
    )
