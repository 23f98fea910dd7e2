"""What reward models have learned: calibration, maps of rewards, and segments step by step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from active_rlhf.analysis.wording import number
from active_rlhf.figures.style import (
    COLOURS,
    LINES,
    MARKERS,
    blank,
    figure_width,
    note,
    panels,
    styled,
    swatches,
    wrap,
)

MAP = "cividis"  # for every kind of colour vision


@styled
def reliability(
    curves: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]], about: str = ""
) -> Figure:
    """A panel for each kind of pair with a curve for each method or, of a run, for itself.

    curves: kind -> name -> as of `analysis.inspection.reliability`; about: a sentence for the note.
    """
    if not curves:
        return blank("No answers to compare with.")
    figure, all_axes = panels(len(curves), height=2.4)
    names = list(dict.fromkeys(name for kind in curves.values() for name in kind))
    looks: dict[str, dict[str, Any]] = {
        name: {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": LINES[i % len(LINES)],
            "marker": MARKERS[i % len(MARKERS)],
        }
        for i, name in enumerate(names)
    }
    lines: dict[str, Any] = {}
    counts = []
    for axes, (kind, found) in zip(all_axes, curves.items(), strict=True):
        axes.plot([0.5, 1], [0.5, 1], color="#999999", linewidth=0.8)
        for name, curve in found.items():
            some = np.asarray(curve["count"]) > 0
            x, y = (np.asarray(curve[key])[some] for key in ("confidence", "right"))
            (lines[name],) = axes.plot(x, y, **looks[name])
        totals = [int(np.sum(curve["count"])) for curve in found.values()]
        first = next(iter(found.values()))
        by_bin = ", ".join(str(int(count)) for count in first["count"])
        counts.append(
            f"{kind}: {by_bin} of {next(iter(found))}"
            + (f" ({min(totals):,} to {max(totals):,} in all)" if len(totals) > 1 else "")
        )
        axes.set_title(wrap(kind, 34))
        axes.set_xlabel("confidence")
        axes.set_ylabel("share right")
        axes.set_xlim(0.48, 1.02)
        axes.set_ylim(-0.02, 1.02)
    if len(lines) > 1:
        swatches(figure, list(lines.values()), list(lines))
    note(
        figure,
        "How often the reward model is right about pairs of which it is so confident, in ten "
        "intervals of confidence; the grey line is right calibration. Pairs in each interval, from "
        f"0.5 to 1: {'; '.join(counts)}. Ties do not count. {about}",
    )
    return figure


@styled
def maps(found: Mapping[str, Mapping[str, Any]], about: str = "") -> Figure:
    """The true reward over two dimensions of an observation, beside each learned one.

    found: name -> map, as of `results.inspection.look`.
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
            flat.append(f"{name} is {number(float(np.nanmin(values)), 2)} everywhere")
        mesh = axes.pcolormesh(x, y, values, cmap=MAP, shading="nearest", rasterized=True)
        if np.isfinite(values).all() and np.ptp(values) > 0:
            axes.contour(x, y, values, levels=6, colors="white", linewidths=0.5)
        figure.colorbar(mesh, ax=axes)
        axes.grid(False)
        axes.set_title(wrap(name, 24))
        axes.set_xlabel(first["axes"][0])
        if i % 3 == 0:
            axes.set_ylabel(first["axes"][1])
    how = (
        f"Rewards of states whose other dimensions are 0, the mean over {first['action']}."
        if first["kind"] == "grid"
        else "Means over the steps of behaviour that fall into each bin, whatever else is observed "
        "there; bins with fewer than 5 steps are empty."
    )
    unit = "A learned reward has mean 0 and sd 1 over its run's behaviour."
    note(figure, how, unit, *(f"{text}." for text in flat), about)
    return figure


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
