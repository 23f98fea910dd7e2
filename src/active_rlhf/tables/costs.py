"""The cost of each method's runs."""

import numpy as np
import pandas as pd

from active_rlhf.analysis import overhead as cost
from active_rlhf.analysis.wording import (
    Terms,
    decimals,
    duration,
    excluded_runs,
    listed,
    number,
    seeds,
    teacher_and_budget,
)
from active_rlhf.tables.cells import Cell, Table, numbers, plain, table


def costs(means: pd.DataFrame, terms: Terms, env: str = "") -> Table:
    """The cost of each method, and its change from the reference method's, on one environment.

    Takes the frame of `overhead.overhead`. Without `env`, these are means over all environments.
    """
    env = env or cost.COMBINED
    rows = means[means["env"] == env]
    columns = [
        ("Method", plain(rows["method"])),
        ("n", [Cell(str(n)) for n in rows["n"]]),
    ]
    for key, name in cost.MEASURES.items():
        if key == "gpu_s" and not rows[key].gt(0).any():
            continue
        unit, divisor = ("GB", 1e3) if key == "peak_rss_mb" else duration(rows[key])
        values = rows[key] / divisor
        changes = [
            Cell("–" if np.isnan(change) else f"{number(100 * change, 1, sign=True)}%")
            for change in rows[f"{key}_change"]
        ]
        columns += [(f"{name} ({unit})", numbers(values, decimals(values))), ("change", changes)]
    by_hosts = rows.groupby("hosts", sort=False)["method"].agg(lambda names: listed(list(names)))
    if cost.hosts_differ(means if env == cost.COMBINED else rows):
        hosts = (
            "Warning: the methods ran on different hosts, so changes are not due to the methods "
            f"alone: {'; '.join(f'{names} on {host}' for host, names in by_hosts.items())}."
        )
    else:
        hosts = f"Host: {'; '.join(by_hosts.index) or 'none'}."
    where = (
        f"over environments ({listed(cost.shared_environments(means))}) of the means over runs"
        if env == cost.COMBINED
        else f"over {seeds(rows['n'])} runs on {env}"
    )
    return table(
        f"overhead {env}",
        f"Cost of a run, means {where}, and the change from {means['reference'].iloc[0]}. "
        f"No interval, no test. {hosts}",
        columns,
        [
            teacher_and_budget(terms, *([] if env == cost.COMBINED else [env])),
            excluded_runs(terms, None if env == cost.COMBINED else [env]),
        ],
    )
