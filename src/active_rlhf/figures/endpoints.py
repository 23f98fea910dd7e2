"""Every run's endpoint."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import Terms, excluded_runs, teacher_and_budget
from active_rlhf.figures.style import across, legend, method_styles, note, panels, styled, title


@needs(
    endpoints="env method seed metric_type value",
    summary="env method metric_type n mean median ci_low ci_high",
)
@styled
def endpoint_distributions(
    endpoints: pd.DataFrame, summary: pd.DataFrame, terms: Terms, metric_type: str = "endpoint"
) -> Figure:
    """A point for each run, beside mean, interval and median; a panel for each environment.

    Takes the statistics `endpoints` and `summary`. A seed is at the same place in each method.
    """
    endpoints, summary = (
        frame[frame["metric_type"] == metric_type] for frame in (endpoints, summary)
    )
    envs = list(endpoints["env"].unique())
    styles = method_styles(endpoints, terms)
    figure, all_axes = panels(len(envs))
    for axes, env in zip(all_axes, envs, strict=True):
        runs = endpoints[endpoints["env"] == env]
        of_env = summary[summary["env"] == env].set_index("method")
        order = np.sort(runs["seed"].unique())
        offsets = dict(zip(order, np.linspace(-0.3, 0.14, len(order)), strict=True))
        for x, (method, style) in enumerate(styles.items()):
            values = runs[runs["method"] == method]
            if values.empty:
                continue
            axes.plot(
                x + values["seed"].map(offsets),
                values["value"],
                style.marker,
                color=style.colour,
                markersize=2.8,
                markeredgewidth=0,
                alpha=0.75,
            )
            row = of_env.loc[method]
            mean = row["mean"]
            error = [[mean - row["ci_low"]], [row["ci_high"] - mean]]
            axes.errorbar(
                x + 0.32, mean, error, fmt="o", color=style.colour, markersize=3, capsize=2
            )
            axes.hlines(row["median"], x - 0.34, x + 0.18, color=style.colour, linewidth=0.8)
        title(axes, env, of_env["n"], across(len(envs)))
        axes.set_ylabel(terms.metric(metric_type))
        axes.set_xlim(-0.6, len(styles) - 0.3)
        axes.set_xticks([])
    legend(figure, styles, markers=True)
    note(
        figure,
        "Small points: runs, one per seed, each seed at the same place in every method; line: "
        f"their median; right: mean with {terms.level} t interval. "
        f"Shown: {terms.metric(metric_type, True)}. No test.",
        teacher_and_budget(terms, *envs),
        excluded_runs(terms, envs),
    )
    return figure
