"""What the rows of imported runs cover, and what that does to endpoints and curves."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from active_rlhf.analysis.endpoints import WINDOW, methods_of
from active_rlhf.analysis.frames import RUNS, needs, require_rows
from active_rlhf.analysis.wording import Terms, listed
from active_rlhf.results.comparable import Spacing

APART = 2  # times, that spans of `final` may differ between methods without a warning
SHORT = 0.9  # of the steps that some run covers, which all runs should
HOLES = 3  # that are named


@needs(runs=RUNS)
def spread(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per environment x method.

    `n` runs have `rows` rows, the steps `first` (the latest that a run begins with), `shortest` and
    `longest` (that a run ends with). `span` is the median, over runs, of the steps that the last
    ten rows cover. `holes` counts distances between rows that are longer than any ordinary one, and
    `where` names some, as `seed 3: 100 to 400`.
    Raises FrameError if there are no rows.
    """
    require_rows(runs, "spread: runs")
    found = []
    for env, own in runs.groupby("env", sort=False):
        run = own.groupby(["method", "seed"], sort=False, observed=True).ngroup().to_numpy()
        step = own["step"].to_numpy(float)
        length = own["length"].to_numpy(float) if "length" in own else None
        spacing = Spacing.of(run, step, length)
        starts, ends = spacing.starts, spacing.ends
        before = np.maximum(ends - WINDOW, starts)
        begin = np.where(ends - starts >= WINDOW, step[before], 0.0)
        holes = spacing.holes()
        per_run = pd.DataFrame(
            {
                "method": own["method"].to_numpy(object)[starts],
                "rows": ends - starts + 1,
                "first": step[starts],
                "last": step[ends],
                "span": step[ends] - begin,
                "holes": np.bincount(run[holes], minlength=len(starts)),
            }
        )
        seeds = own["seed"].to_numpy()
        for method in methods_of(own):
            mine = per_run[per_run["method"] == method]
            named = [
                f"seed {seeds[i]}: {step[i] - spacing.gap[i]:.0f} to {step[i]:.0f}"
                for i in holes
                if per_run["method"].iloc[run[i]] == method
            ]
            found.append(
                {
                    "env": env,
                    "method": method,
                    "n": len(mine),
                    "rows": int(mine["rows"].sum()),
                    "first": mine["first"].max(),
                    "shortest": mine["last"].min(),
                    "longest": mine["last"].max(),
                    "span": mine["span"].median(),
                    "holes": int(mine["holes"].sum()),
                    "where": "; ".join(named[:HOLES]),
                }
            )
    return pd.DataFrame(found).astype({"method": runs["method"].dtype})


def warnings(table: pd.DataFrame, terms: Terms) -> Iterator[str]:
    """Sentences about what the rows of an environment leave uncertain, from the table `spread`."""
    if (table["rows"] == table["n"]).all():
        return
    spans = table.set_index("method")["span"]
    if terms.endpoint == "final" and spans.max() > APART * spans.min():
        few, many = str(spans.idxmin()), str(spans.idxmax())
        yield (
            f"The last ten rows of a run span {spans[few]:,.0f} steps in {few} and "
            f"{spans[many]:,.0f} in {many}, so the final return is about different stretches of "
            "training. `statistics: {endpoint: last_steps, window: <steps>}` compares the same."
        )
    low, high = table["first"].max(), table["shortest"].min()
    whole = table["longest"].max()
    if high - low < SHORT * whole:
        yield (
            f"Curves and areas are over the steps that all runs have, {low:,.0f} to {high:,.0f}; "
            f"the longest run has {whole:,.0f}."
        )
    holed = table[table["holes"] > 0]
    if len(holed):
        where = [
            f"{row['method']} ({row['where']}"
            + (f"; and {row['holes'] - HOLES} more)" if row["holes"] > HOLES else ")")
            for row in holed.to_dict("records")
        ]
        yield f"Rows are missing, going by the distance of others: {listed(where)}."
