"""What reward models have learned: calibration, maps of rewards, and segments step by step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from active_rlhf.analysis.wording import (
    Terms,
    excluded_runs,
    number,
    seeds,
    teacher_and_budget,
)
from active_rlhf.figures.style import (
    COLOURS,
    MethodStyle,
    across,
    blank,
    figure_width,
    legend,
    method_styles,
    note,
    panels,
    styled,
    swatches,
    wrap,
)

MAP = "cividis"  # for every kind of colour vision


@styled
def reliability(
    curves: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]], terms: Terms, env: str
) -> Figure:
    """A panel for each kind of pair, with a curve for each method.

    curves: kind -> method -> as of `analysis.inspection.pooled`, on one environment.
    """
    if not curves:
        return blank("No answers to compare with.")
    figure, all_axes = panels(len(curves), height=2.1)
    styles = _styles([name for kind in curves.values() for name in kind], terms)
    counts = []
    for axes, (kind, found) in zip(all_axes, curves.items(), strict=True):
        axes.plot([0.5, 1], [0.5, 1], color="#999999", linewidth=0.8)
        for name, curve in found.items():
            style, some = styles[name], np.asarray(curve["count"]) > 0
            x, y = (np.asarray(curve[key])[some] for key in ("confidence", "right"))
            axes.plot(x, y, color=style.colour, linestyle=style.line, marker=style.marker)
            pairs = ", ".join(f"{int(count):,}" for count in curve["count"])
            counts.append(f"{name} and {kind}: {pairs}.")
        axes.set_title(wrap(kind, 34))
        axes.set_xlabel("confidence")
        axes.set_ylabel("share right")
        axes.set_xlim(0.48, 1.02)
        axes.set_ylim(-0.04, 1.04)
    legend(figure, styles, markers=True)
    runs = (float(curve["runs"]) for found in curves.values() for curve in found.values())
    note(
        figure,
        f"{env}: how often reward models are right about pairs of which they are so confident, in "
        f"ten intervals of confidence; pairs of all runs together ({seeds(runs)} seeds), without "
        "ties. Grey: right calibration. Pairs in each interval, from 0.5 to 1:",
        *counts,
        teacher_and_budget(terms, env),
        excluded_runs(terms, [env]),
    )
    return figure


@styled
def maps(found: Mapping[str, Mapping[str, Any]], terms: Terms, env: str) -> Figure:
    """The true reward over two dimensions of an observation, beside each learned one.

    found: method -> map, as of `analysis.inspection.mean_maps`, on one environment.
    """
    if not found:
        return blank("Observations are no flat list of numbers.")
    first = next(iter(found.values()))
    shown = {name: np.array(one["learned"], float) for name, one in found.items()}
    if first["true"] is not None:
        shown = {"true reward": np.array(first["true"], float)} | shown
    shown = {name: values for name, values in shown.items() if np.isfinite(values).any()}
    if not shown:
        return blank("Too few steps to show means.")
    figure, all_axes = panels(len(shown), height=1.9)
    x, y = (np.array(first[axis], float) for axis in "xy")
    flat = []
    for i, (axes, (name, values)) in enumerate(zip(all_axes, shown.items(), strict=True)):
        if np.nanmax(values) == np.nanmin(values):
            flat.append(f"{name} is {number(float(np.nanmin(values)), 2)} everywhere.")
        mesh = axes.pcolormesh(x, y, values, cmap=MAP, shading="nearest", rasterized=True)
        if np.isfinite(values).all() and np.ptp(values) > 0:
            axes.contour(x, y, values, levels=6, colors="white", linewidths=0.5)
        bar = figure.colorbar(mesh, ax=axes)
        bar.locator = MaxNLocator(4)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.grid(False)
        axes.set_title(wrap(name, 22))
        axes.set_xlabel(first["axes"][0])
        if i % across(len(shown)) == 0:
            axes.set_ylabel(first["axes"][1])
    how = (
        f"rewards of states whose other dimensions are 0, the mean over {first['action']}."
        if first["kind"] == "grid"
        else "means over the steps of behaviour that fall into each bin, whatever else is observed "
        "there; bins with fewer than 5 steps are empty."
    )
    note(
        figure,
        f"{env}: {how} Learned rewards have mean 0 and sd 1 over a run's behaviour; shown is the "
        f"mean over runs ({seeds(one['n'] for one in found.values())} seeds).",
        *flat,
        teacher_and_budget(terms, env),
        excluded_runs(terms, [env]),
    )
    return figure


def _styles(names: Sequence[str], terms: Terms) -> dict[str, MethodStyle]:
    """Their colours, lines and markers, as in other figures."""
    return method_styles(pd.DataFrame({"method": names}), terms)


@styled
def segments(shown: Sequence[Mapping[str, Any]]) -> Figure:
    """Queries step by step: learned rewards of both segments, over the true ones.

    shown: as of `results.inspection.shown_segments`.
    """
    if not shown:
        return blank("The run asked nothing.")
    figure = Figure(figsize=(figure_width(), 1.5 * len(shown) + 0.3), layout="constrained")
    grid = figure.subplots(len(shown), 2, sharex=True, squeeze=False)
    handles: list[Any] = []
    for row, query in zip(grid, shown, strict=True):
        for side, axes in enumerate(row):
            (learned,) = axes.plot(query["learned"][side], color=COLOURS[2])
            handles = [learned]
            if query["true"] is not None:
                other = axes.twinx()
                other.grid(False)
                (true,) = other.plot(query["true"][side], color=COLOURS[4], linestyle="--")
                every = np.asarray(query["true"])
                low, high = every.min(), every.max()
                edge = 0.05 * (high - low) or 1.0
                other.set_ylim(low - edge, high + edge)
                other.tick_params(axis="y", colors=COLOURS[4])
                handles.append(true)
            every = np.asarray(query["learned"])
            edge = 0.05 * np.ptp(every) or 1.0
            axes.set_ylim(every.min() - edge, every.max() + edge)
            axes.tick_params(axis="y", colors=COLOURS[2])
            preferred = {1.0: side == 0, 0.0: side == 1}.get(query["answer"], False)
            axes.set_title(
                f"query {query['query']}, {'second' if side else 'first'}"
                f"{' (preferred)' if preferred else ''}: true return "
                f"{number(float(query['returns'][side]), 1)}"
            )
            axes.margins(x=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in grid[-1]:
        axes.set_xlabel("step of the segment")
    swatches(
        figure, handles, ["learned reward (left axis)", "true reward (right axis)"][: len(handles)]
    )
    note(
        figure,
        "The queries with the largest, the median and the smallest difference in true return. "
        "Both segments of a query have the same axes.",
    )
    return figure
