"""Which method beats which, and mean ranks."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from active_rlhf.analysis.frames import FrameError, needs
from active_rlhf.analysis.wording import Terms, excluded_runs, of_seeds, p_value, teacher_and_budget
from active_rlhf.figures.style import (
    blank,
    figure_width,
    method_styles,
    note,
    points,
    styled,
    wrap,
)
from active_rlhf.study.measures import lower_is_better


@needs(
    improvement="metric_type env method_a method_b value ci_low ci_high",
    summary="env method metric_type n",
)
@styled
def improvement_matrix(
    improvement: pd.DataFrame,
    summary: pd.DataFrame,
    terms: Terms,
    env: str = "all",
    metric_type: str = "endpoint",
) -> Figure:
    """How probably a run of the row's method is better than one of the column's, with interval.

    Takes the statistics `improvement` (env `all`: the mean over environments) and, for n,
    `summary`.
    """
    rows = improvement[(improvement["metric_type"] == metric_type) & (improvement["env"] == env)]
    if rows.empty:
        return blank("Fewer than two methods.")
    runs = summary[summary["metric_type"] == metric_type]
    if env != "all":
        runs = runs[runs["env"] == env]
    methods = terms.order(runs)
    rows = rows[rows["method_a"].isin(methods) & rows["method_b"].isin(methods)]
    if rows.empty:
        return blank("Fewer than two methods.")
    values = rows.pivot(index="method_a", columns="method_b", values="value")
    values = values.reindex(index=methods, columns=methods)

    k = len(methods)
    width = figure_width(k > 4)
    figure = Figure(figsize=(width, 0.9 + (width - 1.7) * 0.75), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(values.to_numpy(), cmap="PuOr_r", vmin=0, vmax=1, aspect="auto")
    size = 6 if k <= 6 else 5.5
    for row in rows.to_dict("records"):
        axes.text(
            methods.index(row["method_b"]),
            methods.index(row["method_a"]),
            f"{row['value']:.2f}\n{row['ci_low']:.2f}–{row['ci_high']:.2f}",
            ha="center",
            va="center",
            fontsize=size,
            color="white" if abs(row["value"] - 0.5) > 0.33 else "black",
        )
    names = [wrap(method, 14) for method in methods]
    longest = max(len(line) for name in names for line in name.splitlines())
    wide = 0.065 * longest > (width - 1.7) / k  # inches
    axes.set_xticks(range(k), names, rotation=90 if wide else 0)
    axes.set_yticks(range(k), names)
    axes.tick_params(length=0)
    axes.set_xlabel("method b")
    axes.set_ylabel("method a")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    side, sign = ("smaller", "<") if lower_is_better(metric_type) else ("larger", ">")
    figure.colorbar(image, ax=axes, label=f"P(a {sign} b)", shrink=0.8)
    envs = list(runs["env"].unique())
    where = f"mean over {len(envs)} environments" if len(envs) > 1 else f"on {envs[0]}"
    note(
        figure,
        f"Probability that a run of a has the {side} {terms.metric(metric_type)}, unpaired; "
        f"{where}; {of_seeds(runs['n'])}. Interval: {terms.level} percentile bootstrap, "
        "stratified by environment. No test.",
        teacher_and_budget(terms, *([] if env == "all" else [env])),
        excluded_runs(terms, None if env == "all" else [env]),
    )
    return figure


@needs(
    ranks="metric_type env blocks n_blocks method mean_rank p_friedman p_iman_davenport "
    "critical_difference"
)
@styled
def critical_difference_diagram(
    ranks: pd.DataFrame,
    terms: Terms,
    env: str = "all",
    blocks: str = "environments x seeds",
    metric_type: str = "endpoint",
) -> Figure:
    """Mean ranks; bars join methods that Nemenyi's test cannot tell apart.

    Takes the statistic `ranks`. In a study of one environment the blocks are its seeds. Raises
    FrameError if the terms leave out a method that was ranked: all ranks depend on it.
    """
    rows = ranks[ranks["metric_type"] == metric_type]
    if rows["env"].nunique() == 1:
        env, blocks = str(rows["env"].iloc[0]), "seeds"
    elif blocks not in set(rows["blocks"]):  # runs are not paired by seed
        blocks = "environments"
    rows = rows[(rows["env"] == env) & (rows["blocks"] == blocks)].sort_values("mean_rank")
    if rows.empty:
        return blank("No blocks with all methods to rank.")
    first = rows.iloc[0]
    distance, k = float(first["critical_difference"]), len(rows)
    styles = method_styles(rows, terms)
    names, values = rows["method"].tolist(), rows["mean_rank"].to_numpy()
    if left_out := [name for name in names if name not in styles]:
        raise FrameError(
            f"terms.methods: without {', '.join(left_out)}, which was ranked too; leave it out of "
            "the endpoints that ranks are computed from"
        )
    cliques = indistinguishable(values, distance)

    # Depths below the axis at rank 0: bars first, then one line of names each for the left (best)
    # and the right half.
    half = (k + 1) // 2
    top = 0.9 + 0.35 * len(cliques)
    depth = top + half
    figure = Figure(figsize=(figure_width(), 0.25 + 0.2 * (depth + 1.9)), layout="constrained")
    axes = figure.add_subplot()
    margin = 0.45 * max(k - 1, 1)
    axes.set_xlim(1 - margin, k + margin)
    axes.set_ylim(depth, -2.7)
    axes.axis("off")
    axes.hlines(0, 1, k, color="black", linewidth=1)
    for rank in range(1, k + 1):
        axes.vlines(rank, -0.25, 0, color="black", linewidth=0.8)
        axes.text(rank, -0.35, str(rank), ha="center", va="bottom", fontsize=points(7))
    span = min(distance, k - 1)
    axes.plot([1, 1 + span], [-1.6, -1.6], color="black", linewidth=1, marker="|", markersize=5)
    over = " (beyond the axis)" if distance > k - 1 else ""
    axes.text(
        1 + span / 2,
        -2.0,
        f"CD = {distance:.2f}{over}",
        ha="center",
        va="bottom",
        fontsize=points(7),
    )
    for i, (low, high) in enumerate(cliques):
        reach = 0.012 * (k - 1)
        ends = [values[low] - reach, values[high] + reach]
        axes.plot(ends, [0.5 + 0.35 * i] * 2, color="black", linewidth=2.5, solid_capstyle="butt")
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        left = i < half
        y = top + (i if left else k - 1 - i) + 0.3
        x = 1 - 0.06 * margin if left else k + 0.06 * margin
        colour = styles[name].colour
        axes.plot([value, value, x], [0, y, y], color=colour, linewidth=0.8)
        axes.annotate(
            f"{wrap(name, 26)} ({value:.2f})",
            (x, y),
            (-3 if left else 3, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=points(7),
            linespacing=0.9,
        )
    where = "over all environments" if env == "all" else f"on {env}"
    tests = "one block allows no test"
    if first["n_blocks"] > 1:
        p, p_f = (_p(first[name], terms.alpha) for name in ("p_friedman", "p_iman_davenport"))
        tests = f"tests: Friedman p {p}, Iman-Davenport p {p_f}"
    note(
        figure,
        f"Mean ranks in {terms.metric(metric_type)} {where} (1 is best), n = {first['n_blocks']} "
        f"blocks ({blocks.replace(' x ', ' × ')}); {tests}. A bar joins methods whose ranks differ "
        f"by less than Nemenyi's critical difference at α = {terms.alpha:g}: not shown to differ. "
        "No interval.",
        teacher_and_budget(terms, *([] if env == "all" else [env])),
        excluded_runs(terms, None if env == "all" else [env]),
    )
    return figure


def indistinguishable(ranks: np.ndarray, distance: float) -> list[tuple[int, int]]:
    """First and last index of each largest group of sorted ranks [k] that spans < distance."""
    ends = np.searchsorted(ranks, ranks + distance, side="left") - 1
    groups = [(i, int(end)) for i, end in enumerate(ends) if end > i]
    return [g for j, g in enumerate(groups) if j == 0 or g[1] > groups[j - 1][1]]


def _p(p: float, alpha: float) -> str:
    text = p_value(p, alpha)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"
