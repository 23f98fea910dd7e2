"""Label efficiency: what runs end at, by their label budget."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import Terms, excluded_runs
from active_rlhf.figures.style import (
    across,
    blank,
    legend,
    method_styles,
    note,
    panels,
    styled,
    title,
)


@needs(budgets="env metric_type method labels n mean ci_low ci_high")
@styled
def budgets(budgets: pd.DataFrame, terms: Terms, metric_type: str = "endpoint") -> Figure:
    """Mean of an endpoint against the label budget of its runs; a panel for each environment.

    Takes the statistic `budgets`.
    """
    rows = budgets[budgets["metric_type"] == metric_type]
    if rows.empty:
        return blank(f"No run has this endpoint: {terms.metric(metric_type)}.")
    envs = list(rows["env"].unique())
    styles = method_styles(rows, terms)
    figure, grid = panels(len(envs))
    for axes, env in zip(grid, envs, strict=True):
        own = rows[rows["env"] == env]
        for i, (method, style) in enumerate(styles.items()):
            of_method = own[own["method"] == method]
            x = of_method["labels"] * 1.02 ** (i - (len(styles) - 1) / 2)  # side by side
            mean = of_method["mean"]
            errors = [mean - of_method["ci_low"], of_method["ci_high"] - mean]
            axes.errorbar(
                x,
                mean,
                yerr=errors,
                color=style.colour,
                linestyle=style.line,
                marker=style.marker,
                elinewidth=0.8,
                capsize=1.5,
            )
        totals = sorted(own["labels"].unique())
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(totals, [f"{total:,}" for total in totals])
        axes.set_xlabel("labels of a run")
        axes.set_ylabel(terms.metric(metric_type))
        title(axes, str(env), own["n"], across(len(envs)))
    legend(figure, styles, markers=True)
    note(
        figure,
        f"Mark: mean {terms.metric(metric_type, True)} of the runs of one budget. Interval: "
        f"{terms.level} percentile bootstrap of the mean. Every budget has runs of its own; lines "
        "only join the marks. No test.",
        excluded_runs(terms, envs),
    )
    return figure
