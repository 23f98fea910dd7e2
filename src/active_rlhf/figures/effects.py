"""Forest plot of pairwise differences."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.power import is_unpaired
from active_rlhf.analysis.wording import (
    REWARD_NOTE,
    Terms,
    excluded_runs,
    family,
    number,
    power_notes,
    teacher_and_budget,
)
from active_rlhf.figures.style import blank, fitting, note, panels, points, styled, title, wrap
from active_rlhf.study.measures import of_reward_model

NEEDED = (
    "env metric_type method_a method_b n hodges_lehmann ci_hl_low ci_hl_high dz reject_null "
    "family power n_for_80"
)


@needs(comparisons=NEEDED)
@styled
def forest(
    comparisons: pd.DataFrame,
    terms: Terms,
    env: str = "",
    metric_type: str = "endpoint",
) -> Figure:
    """Hodges-Lehmann differences with their intervals, and dz; on all environments or just `env`.

    Takes the whole statistic `comparisons`, as its families are the tests corrected together.
    """
    rows = comparisons[comparisons["metric_type"] == metric_type]
    if env:
        rows = rows[rows["env"] == env]
    rows = rows.assign(panel=rows["env"])
    shown = f"Shown: {terms.metric(metric_type, True)}."
    return _panels(comparisons, rows, terms, shown, alone=bool(env))


@needs(comparisons=NEEDED)
@styled
def reward_forest(comparisons: pd.DataFrame, terms: Terms, env: str) -> Figure:
    """The same of the reward model on one environment, a panel for each endpoint."""
    rows = comparisons[comparisons["env"] == env]
    rows = rows[rows["metric_type"].map(of_reward_model).astype(bool)]
    names = [terms.measure(str(name)) for name in rows["metric_type"]]
    shown = f"Shown: the reward model on the probe set of {env}. {REWARD_NOTE}"
    return _panels(comparisons, rows.assign(panel=names), terms, shown)


def _panels(
    comparisons: pd.DataFrame, rows: pd.DataFrame, terms: Terms, shown: str, alone: bool = False
) -> Figure:
    """A panel for each `panel` of the rows, which is an environment or an endpoint."""
    if rows.empty:
        return blank("Fewer than two methods.")
    names, envs = list(rows["panel"].unique()), list(rows["env"].unique())
    pairs = list(dict.fromkeys(zip(rows["method_a"], rows["method_b"], strict=True)))
    labels = [wrap(f"{a} − {b}", 24 if alone else 30) for a, b in pairs]
    heights = np.array([0.2 + 0.11 * label.count("\n") for label in labels])  # inches
    places = dict(zip(pairs, heights / 2 - heights.cumsum(), strict=True))
    count = len(names)
    pairwise = count == 4 or (count % 2 == 0 and len(envs) == 1)  # both forms of an endpoint
    columns = fitting(2 if pairwise else min(count, 3), 2.2)
    figure, all_axes = panels(count, 0.7 + heights.sum(), columns)
    for i, (axes, name) in enumerate(zip(all_axes, names, strict=True)):
        of_env = rows[rows["panel"] == name]
        axes.axvline(0, color="#888888", linewidth=0.8)
        finite = of_env[["ci_hl_low", "ci_hl_high", "hodges_lehmann"]].replace(
            [np.inf, -np.inf], np.nan
        )
        axes.update_datalim([(x, 0) for x in finite.to_numpy().ravel() if np.isfinite(x)])
        for row in of_env.itertuples():
            y = places[row.method_a, row.method_b]
            ends = [row.ci_hl_low, row.ci_hl_high]
            if np.isfinite(ends).all():
                axes.plot(ends, [y, y], color="black", linewidth=1)
            else:  # the whole line: nothing is rejected
                axes.axhline(y, color="black", linewidth=1, linestyle=":")
            axes.plot(
                row.hodges_lehmann,
                y,
                "o",
                markersize=4,
                markerfacecolor="black" if row.reject_null else "white",
                markeredgecolor="black",
                markeredgewidth=0.8,
            )
        counts = of_env[["n_a", "n_b"]].max(axis=1) if is_unpaired(of_env) else of_env["n"]
        title(axes, name, counts, columns + 1)
        axes.set_ylim(-heights.sum(), 0)
        axes.set_yticks(list(places.values()), labels if i % columns == 0 else [""] * len(pairs))
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=5 if columns > 1 else 6)
        metric = terms.metric(str(of_env["metric_type"].iloc[0]))
        axes.set_xlabel(f"difference in {metric}" if name in envs else "difference")
        axes.grid(axis="y", visible=False)
        right = axes.secondary_yaxis("right")
        right.set_yticks(
            [places[row.method_a, row.method_b] for row in of_env.itertuples()],
            [number(dz, 2, sign=True) for dz in of_env["dz"]],
        )
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
        axes.text(
            1.02, 1.0, terms.effect, transform=axes.transAxes, fontsize=points(7), va="bottom"
        )
    families = comparisons[comparisons["family"].isin(rows["family"])]
    note(
        figure,
        f"Hodges-Lehmann estimate of a − b with its {terms.exact}{terms.level} interval (not "
        "corrected for the number of tests; dotted: unbounded). Filled: rejected at α = "
        f"{terms.alpha:g}. {terms.test}; {family(families, terms)}. {shown}",
        *power_notes(families, terms),
        teacher_and_budget(terms, *envs),
        excluded_runs(terms, envs),
    )
    return figure
