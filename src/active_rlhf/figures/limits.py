"""What limits the return: returns against the quality of the reward models."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.limits import LIMITS, QUALITY, RUNS
from active_rlhf.analysis.wording import Terms, excluded_runs, interval, number, teacher_and_budget
from active_rlhf.figures.style import (
    across,
    blank,
    method_styles,
    note,
    panels,
    styled,
    swatches,
    title,
    wrap,
)

YARDSTICK = "#888888"


@needs(runs=" ".join(RUNS), limits=" ".join(LIMITS))
@styled
def limits(
    runs: pd.DataFrame, limits: pd.DataFrame, terms: Terms, metric_type: str = "endpoint"
) -> Figure:
    """Return against the reward model's rank correlation, a point a run; a panel an environment.

    Takes the statistics `quality` and `limits`.
    """
    runs, limits = (frame[frame["metric_type"] == metric_type] for frame in (runs, limits))
    if limits.empty:
        return blank("No environment has baselines and measured reward models.")
    envs = list(limits["env"].unique())
    styles = method_styles(runs, terms)
    figure, grid = panels(len(envs), 2.3)
    for axes, env in zip(grid, envs, strict=True):
        own, first = runs[runs["env"] == env], limits[limits["env"] == env].iloc[0]
        for method, style in styles.items():
            of_method = own[own["method"] == method]
            axes.plot(
                *(of_method["quality"], of_method["value"], style.marker),
                color=style.colour,
                markersize=3,
                markeredgewidth=0,
                alpha=0.8,
            )
        axes.axhline(first["mean_true"], color=YARDSTICK, linewidth=1)
        axes.axhspan(
            first["ci_true_low"], first["ci_true_high"], color=YARDSTICK, alpha=0.2, linewidth=0
        )
        title(axes, str(env), limits.loc[limits["env"] == env, "n"], across(len(envs)))
        rho = number(first["spearman"], 2)
        ends = interval(first["ci_spearman_low"], first["ci_spearman_high"], 2)
        quality = wrap(terms.metric(QUALITY), 40 if across(len(envs)) < 4 else 16)
        axes.set_xlabel(f"{quality}\nSpearman's ρ {rho}\n{ends}")
        axes.set_ylabel(terms.metric(metric_type))
        axes.locator_params(axis="x", nbins=4)
    handles = [
        Line2D([], [], color=s.colour, marker=s.marker, linestyle="") for s in styles.values()
    ]
    handles.append(Line2D([], [], color=YARDSTICK))
    swatches(figure, handles, [*styles, "true reward"])
    note(
        figure,
        f"Points: runs; {terms.metric(metric_type, True)} against "
        f"{terms.metric(QUALITY, True)}. Line and band: mean of the runs of the same agent on the "
        f"environment's own reward, with {terms.level} t interval. ρ: over the runs of all "
        f"methods, with {terms.level} percentile bootstrap interval that draws whole seeds. No "
        "test.",
        teacher_and_budget(terms, *envs),
        excluded_runs(terms, envs),
    )
    return figure
