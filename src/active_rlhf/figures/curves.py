"""Learning curves: return against environment steps."""

import numpy as np
import pandas as pd
import scipy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import Terms, excluded_runs, teacher_and_budget
from active_rlhf.figures.style import (
    MethodStyle,
    across,
    blank,
    legend,
    method_styles,
    note,
    panels,
    styled,
    title,
)

INTERVALS = {
    "bootstrap": "{level} percentile bootstrap interval of the mean",
    "t": "{level} t interval of the mean",
    "sd": "± 1 standard deviation of the runs (no confidence interval)",
}


@needs(curves="env method step n mean sd ci_low ci_high")
@styled
def learning_curves(curves: pd.DataFrame, terms: Terms, env: str = "") -> Figure:
    """Mean return against steps with `terms.interval`; a panel for each environment, or for `env`.

    Takes the statistic `curves`.
    """
    about = (
        f"Line: mean over runs (one per seed) of the running mean of 10 {terms.plural} "
        f"({terms.value})."
    )
    nothing = "Each run has one row, so there are no curves."
    return _curves(curves, terms, env, ("step", "environment steps"), about, nothing)


@needs(curves="env method labels n mean sd ci_low ci_high")
@styled
def label_curves(curves: pd.DataFrame, terms: Terms, env: str = "") -> Figure:
    """The same against the labels asked by then. Takes the statistic `label_curves`."""
    about = (
        f"Line: mean over runs (one per seed) of the running mean of 10 {terms.plural} "
        f"({terms.value}) when the next labels are asked. More labels come with more training, so "
        "this is a learning curve and not what a budget of so many labels would lead to."
    )
    nothing = "Runs have no two numbers of labels in common."
    return _curves(curves, terms, env, ("labels", "labels asked"), about, nothing)


def _curves(
    curves: pd.DataFrame, terms: Terms, env: str, x: tuple[str, str], about: str, nothing: str
) -> Figure:
    """A panel for each environment, or for `env`; x: a column and what it is called."""
    if env:
        curves = curves[curves["env"] == env]
    if curves.empty:
        return blank(nothing)
    envs = list(curves["env"].unique())
    styles = method_styles(curves, terms)
    figure, all_axes = panels(len(envs))
    for axes, (name, rows) in zip(all_axes, curves.groupby("env", sort=False), strict=True):
        for method, curve in by_method(rows, styles):
            low, high = band(curve, terms)
            line(axes, styles[method], curve[x[0]], curve["mean"], low, high)
        title(axes, str(name), rows["n"], across(len(envs)))
        axes.set_xlabel(x[1])
        axes.set_ylabel("return")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.margins(x=0)
    legend(figure, styles)
    note(
        figure,
        f"{about} {band_note(curves['n'], terms)} No test.",
        teacher_and_budget(terms, *envs),
        excluded_runs(terms, envs),
    )
    return figure


def by_method(
    frame: pd.DataFrame, styles: dict[str, MethodStyle]
) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each method that occurs, in table order."""
    parts = [(method, frame[frame["method"] == method]) for method in styles]
    return [(method, rows) for method, rows in parts if len(rows)]


def band(curve: pd.DataFrame, terms: Terms) -> tuple[pd.Series, pd.Series]:
    """Both ends of the interval that the study chose; NaN for a single run."""
    if terms.interval == "bootstrap":
        single = curve["n"] < 2
        return curve["ci_low"].mask(single), curve["ci_high"].mask(single)
    half = curve["sd"]
    if terms.interval == "t":
        half = half * scipy.stats.t.ppf(1 - terms.alpha / 2, curve["n"] - 1) / np.sqrt(curve["n"])
    return curve["mean"] - half, curve["mean"] + half


def band_note(counts: pd.Series, terms: Terms) -> str:
    """What `band` shows."""
    if counts.max() < 2:
        return "No band, as there is one run each."
    return f"Band: {INTERVALS[terms.interval].format(level=terms.level)}, pointwise."


def line(
    axes: Axes,
    style: MethodStyle,
    x: pd.Series,
    y: pd.Series,
    low: pd.Series,
    high: pd.Series,
) -> None:
    """A method's curve over its band."""
    axes.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)
    axes.plot(x, y, color=style.colour, linestyle=style.line)
