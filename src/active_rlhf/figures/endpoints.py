"""Every run's endpoint."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import (
    REWARD_NOTE,
    Terms,
    excluded_runs,
    teacher_and_budget,
)
from active_rlhf.figures.style import (
    across,
    blank,
    fitting,
    legend,
    method_styles,
    note,
    panels,
    styled,
    title,
)
from active_rlhf.study.measures import OVER_LABELS, of_reward_model


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
    rows = endpoints[endpoints["metric_type"] == metric_type]
    if rows.empty:
        return blank(f"No run has this endpoint: {terms.metric(metric_type)}.")
    shown = [(str(env), str(env), metric_type) for env in rows["env"].unique()]
    return _panels(endpoints, summary, terms, shown, f"Shown: {terms.metric(metric_type, True)}.")


@needs(
    endpoints="env method seed metric_type value",
    summary="env method metric_type n mean median ci_low ci_high",
)
@styled
def reward_distributions(
    endpoints: pd.DataFrame, summary: pd.DataFrame, terms: Terms, env: str
) -> Figure:
    """The same of the reward model on one environment, a panel for each endpoint."""
    rows = endpoints[endpoints["env"] == env]
    names = [str(name) for name in rows["metric_type"].unique() if of_reward_model(str(name))]
    if not names:
        return blank("These runs were not measured on a probe set.")
    names.sort(key=lambda name: name.endswith(OVER_LABELS))  # both forms in a row of their own
    shown = [(terms.measure(name), env, name) for name in names]
    about = f"Shown: the reward model on the probe set of {env}. {REWARD_NOTE}"
    return _panels(endpoints, summary, terms, shown, about)


def _panels(
    endpoints: pd.DataFrame,
    summary: pd.DataFrame,
    terms: Terms,
    shown: list[tuple[str, str, str]],
    about: str,
) -> Figure:
    """A panel for each (name, environment, endpoint)."""
    envs = list(dict.fromkeys(env for _, env, _ in shown))
    styles = method_styles(endpoints[endpoints["metric_type"].isin([s[2] for s in shown])], terms)
    columns = across(len(shown)) if len(envs) > 1 else fitting(min(len(shown), 4))
    figure, all_axes = panels(len(shown), columns=columns)
    for axes, (name, env, metric_type) in zip(all_axes, shown, strict=True):
        runs, of_env = (
            frame[(frame["metric_type"] == metric_type) & (frame["env"] == env)]
            for frame in (endpoints, summary)
        )
        of_env = of_env.set_index("method")
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
        title(axes, name, of_env["n"], columns)
        axes.set_ylabel(terms.metric(metric_type) if name == env else "")
        axes.set_xlim(-0.6, len(styles) - 0.3)
        axes.set_xticks([])
    legend(figure, styles, markers=True)
    note(
        figure,
        "Small points: runs, one per seed, each seed at the same place in every method; line: "
        f"their median; right: mean with {terms.level} t interval. "
        f"{about} No test.",
        teacher_and_budget(terms, *envs),
        excluded_runs(terms, envs),
    )
    return figure
