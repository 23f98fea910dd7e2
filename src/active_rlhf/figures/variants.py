"""Selectors under variants: a map of values, and ranks by variant."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import Terms, decimals, excluded_runs, number, seeds
from active_rlhf.figures.style import (
    blank,
    figure_width,
    legend,
    method_styles,
    note,
    panels,
    points,
    styled,
    wrap,
)
from active_rlhf.study.measures import lower_is_better


@needs(
    summary="variant env method metric_type n mean",
    variants="selector env metric_type method_a reject_null",
)
@styled
def heat_map(
    summary: pd.DataFrame, variants: pd.DataFrame, terms: Terms, metric_type: str = "endpoint"
) -> Figure:
    """Mean of every selector under every variant; a panel for each environment.

    Colour is the mean's place between the panel's lowest and highest. A star marks a difference to
    the selector's first variant that the statistic `variants` rejects.
    """
    rows = summary[summary["metric_type"] == metric_type]
    if rows.empty:
        return blank(f"No run has this endpoint: {terms.metric(metric_type)}.")
    tests = variants[variants["metric_type"] == metric_type]
    envs, methods = list(rows["env"].unique()), terms.order(rows)
    names = _variants(rows)
    height = 0.55 + 0.3 * len(names)
    figure = Figure(figsize=(figure_width(), height * len(envs)), layout="constrained")
    grid = figure.subplots(len(envs), 1, squeeze=False)[:, 0]
    for axes, env in zip(grid, envs, strict=True):
        means = rows[rows["env"] == env].pivot(index="variant", columns="method", values="mean")
        means = means.astype(float).reindex(index=names, columns=methods)
        starred = {
            (row["method_a"], row["selector"])
            for row in tests[tests["env"] == env].to_dict("records")
            if row["reject_null"]
        }
        values = means.to_numpy()
        low, high = np.nanmin(values), np.nanmax(values)
        axes.imshow(values, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        places = decimals(values[np.isfinite(values)], metric_type)
        for (i, j), value in np.ndenumerate(values):
            star = " *" if (names[i], methods[j]) in starred else ""
            dark = np.isfinite(value) and high > low and (value - low) / (high - low) < 0.55
            axes.text(
                j,
                i,
                number(value, places) + star,
                ha="center",
                va="center",
                fontsize=points(7),
                color="white" if dark else "black",
            )
        axes.set_xticks(range(len(methods)), [wrap(method, 14) for method in methods])
        axes.set_yticks(range(len(names)), [wrap(name, 18) for name in names])
        axes.set_title(f"{env} ({seeds(rows[rows['env'] == env]['n'])})")
        axes.tick_params(length=0)
        axes.grid(False)
        axes.spines[:].set_visible(False)
    first = names[0]
    note(
        figure,
        f"Mean {terms.metric(metric_type, True)} of each selector (columns) under each variant "
        "(rows). Colour: from the lowest to the highest mean of the panel. Star: the difference to "
        f"the selector's first variant ({first}, where it has it) is rejected by the Wilcoxon "
        "signed-rank test, paired by seed, Holm within selector × environment × endpoint, "
        f"α = {terms.alpha:g}.",
        excluded_runs(terms, envs),
    )
    return figure


@needs(endpoints="variant env method seed metric_type value")
@styled
def ranks_by_variant(
    endpoints: pd.DataFrame, terms: Terms, metric_type: str = "endpoint"
) -> Figure:
    """Mean rank of each selector within each variant, over seeds; a panel for each environment.

    Variants with one selector alone are left out.
    """
    rows = endpoints[endpoints["metric_type"] == metric_type]
    methods = rows.groupby("variant", observed=True)["method"].nunique()
    names = [name for name in _variants(rows) if methods[name] > 1]
    envs = list(rows["env"].unique())
    if not names:
        return blank("No variant has two selectors.")
    styles = method_styles(rows, terms)
    figure, grid = panels(len(envs))
    counts: list[int] = []
    rising = lower_is_better(metric_type)
    for axes, env in zip(grid, envs, strict=True):
        found: dict[str, list[float]] = {method: [np.nan] * len(names) for method in styles}
        for i, name in enumerate(names):
            own = rows[(rows["env"] == env) & (rows["variant"] == name)]
            wide = own.astype({"method": str}).pivot(index="seed", columns="method", values="value")
            whole = wide.dropna()
            counts.append(len(whole))
            for method, rank in whole.rank(axis=1, ascending=rising).mean().items():
                found[str(method)][i] = float(rank)
        for method, ranks in found.items():
            style = styles[method]
            axes.plot(ranks, color=style.colour, linestyle=style.line, marker=style.marker)
        axes.set_xticks(range(len(names)), [wrap(name, 10) for name in names])
        axes.set_title(f"{env} ({seeds(counts[-len(names) :])})")
        axes.invert_yaxis()
        axes.set_ylabel("mean rank")
        axes.set_xlim(-0.3, len(names) - 0.7)
    legend(figure, styles, markers=True)
    note(
        figure,
        f"Rank of each selector by {terms.metric(metric_type)} among the selectors of a variant, "
        "mean over the seeds that all of them have; 1 is best. No interval, no test.",
        excluded_runs(terms, envs),
    )
    return figure


def _variants(frame: pd.DataFrame) -> list[str]:
    """The variants that occur, in the study's order."""
    present = set(frame["variant"])
    if isinstance(frame["variant"].dtype, pd.CategoricalDtype):
        return [name for name in frame["variant"].cat.categories if name in present]
    return list(dict.fromkeys(frame["variant"]))
