"""Normalised returns across environments: at the end of training, and on the way there."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import Terms, excluded_runs, seeds, teacher_and_budget
from active_rlhf.figures.curves import by_method, line
from active_rlhf.figures.style import blank, legend, method_styles, note, panels, styled

UNSCALED = "No environment has baselines that can be told apart, to normalise returns by."
CURVE = ("iqm", "ci_low", "ci_high")


def bootstrap(terms: Terms) -> str:
    """The interval of all statistics over environments."""
    return f"Band: {terms.level} percentile bootstrap, stratified by environment, pointwise."


def pooled(aggregates: pd.DataFrame) -> str:
    """'all runs of a method (n = 40; A, B, C, D).' from the aggregates of these methods."""
    envs = "; ".join(aggregates["environments"].unique())
    return f"all runs of a method ({seeds(aggregates['runs'])}; {envs})."


@needs(
    profiles="metric_type method threshold fraction ci_low ci_high",
    aggregates="metric_type method environments runs",
)
@styled
def performance_profiles(
    profiles: pd.DataFrame,
    aggregates: pd.DataFrame,
    terms: Terms,
    metric_type: str = "endpoint",
) -> Figure:
    """Share of runs above each normalised score.

    Takes the statistics `profiles` and, for the number of runs, `aggregates`.
    """
    profiles, aggregates = (
        frame[frame["metric_type"] == metric_type] for frame in (profiles, aggregates)
    )
    if profiles.empty:
        return blank(UNSCALED)
    styles = method_styles(profiles, terms)
    figure, (axes,) = panels(1)
    for method, rows in by_method(profiles, styles):
        columns = (rows[name] for name in ("threshold", "fraction", "ci_low", "ci_high"))
        line(axes, styles[method], *columns)
    axes.set_xlabel(f"normalised {terms.metric(metric_type)} τ")
    axes.set_ylabel("share of runs above τ")
    axes.set_ylim(0, 1.02)
    axes.margins(x=0)
    legend(figure, styles)
    note(
        figure,
        f"Shares of {pooled(aggregates)}",
        bootstrap(terms),
        f"Normalised: {terms.ends}. No test.",
        teacher_and_budget(terms),
        excluded_runs(terms),
    )
    return figure


@needs(frame="method progress iqm ci_low ci_high", aggregates="method environments runs")
@styled
def efficiency(frame: pd.DataFrame, aggregates: pd.DataFrame, terms: Terms) -> Figure:
    """Sample efficiency: normalised IQM over environments against progress through training.

    Takes the statistics `efficiency` and, for the number of runs, `aggregates`.
    """
    if frame.empty:
        return blank(UNSCALED)
    styles = method_styles(frame, terms)
    figure, (axes,) = panels(1)
    for method, curve in by_method(frame, styles):
        line(axes, styles[method], curve["progress"], *(curve[c] for c in CURVE))
    axes.set_xlabel("progress through training")
    axes.set_ylabel("normalised return (IQM)")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.margins(x=0)
    legend(figure, styles)
    note(
        figure,
        f"Line: interquartile mean of {pooled(aggregates)}",
        bootstrap(terms),
        f"Normalised: {terms.ends}. No test.",
        teacher_and_budget(terms),
        excluded_runs(terms),
    )
    return figure
