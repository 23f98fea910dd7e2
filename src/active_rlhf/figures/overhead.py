"""How runs spend their time."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.overhead import stages
from active_rlhf.analysis.wording import Terms, duration, excluded_runs
from active_rlhf.figures.style import fitting, note, panels, styled, swatches, title, wrap

# Tol's muted colours, none of which is a method's colour.
COLOURS = (
    *("#332288", "#88CCEE", "#44AA99", "#117733", "#999933"),
    *("#DDCC77", "#CC6677", "#882255", "#AA4499"),
)
OTHER = "#DDDDDD"
CLOCKS = {"wall_s": "wall", "cpu_s": "CPU"}
SMALL = 0.01  # stages below this share of every bar are drawn as "other"


@needs(runs="env method seed host")
@styled
def overhead_bars(runs: pd.DataFrame, terms: Terms, measure: str = "wall_s") -> Figure:
    """Mean time of a run by stage: a bar for each method, a panel for each environment.

    Takes the frame of `analysis.overhead.select`, with the seconds of each stage (`<stage>_s`) and
    the `measure` that they add up to: `wall_s`, or `cpu_s` if they are CPU seconds.
    """
    means = stages(runs, measure)
    total = means.groupby(["env", "method"], observed=True)["seconds"].transform("sum")
    largest = (means["seconds"] / total).groupby(means["stage"], sort=False).max()
    named = [name for name in largest.index[largest >= SMALL] if name != "other"][: len(COLOURS)]
    colours = dict(zip(named, COLOURS, strict=False)) | {"other": OTHER}
    means = means.assign(stage=means["stage"].where(means["stage"].isin(named), "other"))

    envs = list(means["env"].unique())
    methods = terms.order(means)
    columns = fitting(min(len(envs), 2), 2.5)
    labels = [wrap(method, 22) for method in methods]
    row = max(0.25, 0.05 + 0.12 * max(1 + label.count("\n") for label in labels))
    figure, all_axes = panels(len(envs), 0.55 + row * len(methods), columns)
    unit, divisor = duration(runs[measure])
    for i, (axes, env) in enumerate(zip(all_axes, envs, strict=True)):
        of_env = runs[runs["env"] == env]
        rows = means[means["env"] == env]
        table = rows.pivot_table(
            index="method", columns="stage", values="seconds", aggfunc="sum", observed=True
        ).reindex(index=methods, columns=list(colours))
        left = np.zeros(len(methods))
        for stage, colour in colours.items():
            widths = table[stage].fillna(0).to_numpy() / divisor
            axes.barh(range(len(methods)), widths, left=left, color=colour, height=0.7)
            left += widths
        extremes = of_env.groupby("method", observed=True)[measure].agg(["min", "max"])
        for y, method in enumerate(methods):
            if method in extremes.index:
                ends = extremes.loc[method] / divisor
                axes.plot(ends, [y, y], "|-", color="black", linewidth=0.8, markersize=4)
        title(axes, env, rows["n"], columns)
        axes.set_xlabel(f"{CLOCKS[measure]} time of a run ({unit})")
        axes.set_yticks(range(len(methods)), labels if i % columns == 0 else [""] * len(methods))
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
    handles = [Patch(color=colour) for colour in colours.values()]
    swatches(figure, handles, [name.replace("_", " ") for name in colours])
    hosts = sorted(map(str, runs["host"].unique()))
    note(
        figure,
        "Bar: seconds of each stage, as means over runs (one per seed); black line: from the "
        f"fastest to the slowest run. No interval, no test. "
        f"Host{'s' * (len(hosts) > 1)}: {', '.join(hosts)}.",
        excluded_runs(terms, envs),
    )
    return figure
