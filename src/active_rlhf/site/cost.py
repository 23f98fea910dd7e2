"""What a study cost."""

from collections.abc import Mapping

import pandas as pd

from active_rlhf.analysis.wording import duration
from active_rlhf.site.frame import Site, figure
from active_rlhf.site.listing import Listing, choices, listing, numbers, texts

STAGE = "_s"  # ends the names of columns that hold seconds
TOTALS = ("wall_s", "cpu_s", "gpu_s")


def write_cost(
    site: Site, means: pd.DataFrame, runs: pd.DataFrame, captions: Mapping[str, str]
) -> None:
    """Write the page of costs. means: the statistic `overhead`; runs: the export of that name."""
    site.write(
        "site/cost.html",
        "cost.html.jinja",
        means=_means(means),
        stages=_stages(runs),
        figure=figure(site.root, "overhead", "Wall time", captions.get("overhead", "")),
    )


def _means(frame: pd.DataFrame) -> Listing:
    unit, seconds = duration(frame["wall_s"])
    return listing(
        "cost",
        "Cost of a run: means over runs, and the change from the reference method. No interval, "
        "no test; times on different machines do not compare.",
        [
            choices("environment", frame["env"]),
            choices("method", frame["method"]),
            numbers("n", frame["n"], 0),
            numbers(f"time, {unit}", frame["wall_s"] / seconds, 2),
            numbers("change, %", 100 * frame["wall_s_change"], 1),
            numbers(f"processor, {unit}", frame["cpu_s"] / seconds, 2),
            numbers("memory, MB", frame["peak_rss_mb"], 0),
            texts("machines", frame["hosts"]),
        ],
        source="statistics/overhead.csv",
    )


def _stages(runs: pd.DataFrame) -> Listing:
    """Seconds by stage, means over the runs of a cell."""
    stages = [c for c in runs.columns if c.endswith(STAGE) and c not in TOTALS]
    means = runs.groupby(["env", "method"], sort=False)[stages].mean().reset_index()
    return listing(
        "stages",
        "Seconds of a run in each stage of its work, means over runs.",
        [
            choices("environment", means["env"]),
            choices("method", means["method"]),
            *(
                numbers(stage.removesuffix(STAGE).replace("_", " "), means[stage], 2)
                for stage in stages
            ),
        ],
        source="exports/overhead.csv",
    )
