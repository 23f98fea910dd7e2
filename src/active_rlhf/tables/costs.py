"""What the runs of each method cost."""

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
)
from active_rlhf.tables.cells import Cell, Table, numbers, plain, table


def costs(means: pd.DataFrame, terms: Terms, env: str = "") -> Table:
    """Cost of each method and its change against the reference, from `overhead.overhead`.

    Of one environment or, without one, the means over all.
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
            "Warning: the methods ran on different hosts, so the changes are not those of the "
            f"methods alone: {'; '.join(f'{names} on {host}' for host, names in by_hosts.items())}."
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
        f"Cost of a run, means {where}, and change relative to {means['reference'].iloc[0]}. "
        f"No interval, no test. {hosts}",
        columns,
        [excluded_runs(terms, None if env == cost.COMBINED else env)],
    )
