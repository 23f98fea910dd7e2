"""Trials of a sweep: how it went on, which settings mattered, and where good values lie."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.wording import Terms, decimals, number
from active_rlhf.figures.style import (
    across,
    blank,
    figure_width,
    fitting,
    note,
    panels,
    points,
    styled,
    swatches,
    wrap,
)
from active_rlhf.study.sweep import Dimension, Sweep
from active_rlhf.study.tuning import BEST, DEFAULT, TYPICAL
from active_rlhf.tuning.choice import Choice
from active_rlhf.tuning.outcome import (
    CALLED,
    best_so_far,
    objective_in_words,
    place,
    short_names,
    shown,
)

Choices = Mapping[str, Choice]
Names = Mapping[str, str]

# Of settings; each has a line of its own too, for those who do not see colours.
LINES: dict[str, tuple[str, Any]] = {
    DEFAULT: ("#000000", "--"),
    BEST: ("#D55E00", "-"),
    TYPICAL: ("#0072B2", ":"),
}
TRIAL, STOPPED = "#0072B2", "#888888"
# of trials in their order; without the palest, which are hard to see
SHADES = mpl.colors.ListedColormap(mpl.colormaps["cividis"](np.linspace(0, 0.9, 256)))
MEASURES = {"fanova": ("fANOVA", "#0072B2"), "ped_anova": ("PED-ANOVA", "#E69F00")}
ALL_TRIALS = "tuning seeds alone, of which the best of many is optimistic. No interval, no test."
EARLY = "Hollow: stopped early, so of fewer or shorter runs than the others."


@needs(
    trials="selector trial value complete",
    outcome="selector settings objective complete",
)
@styled
def tuning_progress(
    trials: pd.DataFrame, outcome: pd.DataFrame, sweep: Sweep, names: Names, terms: Terms
) -> Figure:
    """Each trial's objective and the best so far; a panel for each selector.

    names: selector -> its name in tables.
    """
    figure, grid = panels(len(names))
    defaults = outcome[outcome["settings"] == DEFAULT].drop_duplicates("selector")
    of_default = {row["selector"]: row for row in defaults.to_dict("records")}
    for i, (axes, (selector, name)) in enumerate(zip(grid, names.items(), strict=True)):
        own = trials[trials["selector"] == selector].sort_values("trial")
        _trials(axes, own["trial"], own["value"], own["complete"])
        axes.step(own["trial"], best_so_far(own), where="post", color=LINES[BEST][0])
        default = of_default[name]
        if default["trial"] >= 0:
            colour = "black" if default["complete"] else STOPPED
            axes.axhline(default["objective"], color=colour, linestyle="--", linewidth=0.8)
        _title(axes, name, len(own), across(len(names)))
        axes.set_xlabel("trial")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_ylabel("objective" if i % across(len(names)) == 0 else "")
    lows, highs = zip(*(axes.get_ylim() for axes in grid), strict=True)
    for axes in grid:  # selectors compare
        axes.set_ylim(min(lows), max(highs))
    handles = [
        *_points(sweep),
        Line2D([], [], color=LINES[BEST][0]),
        Line2D([], [], color="black", linestyle="--", linewidth=0.8),
    ]
    labels = [*_kinds(sweep), "best so far", "default"]
    swatches(figure, handles, labels)
    rows = of_default.values()
    early = [row["selector"] for row in rows if row["trial"] >= 0 and not row["complete"]]
    untried = [row["selector"] for row in rows if row["trial"] < 0]
    note(
        figure,
        _about(outcome, sweep, terms),
        EARLY if sweep.halving else "",
        f"Grey line: the default of {', '.join(early)} was stopped early too." if early else "",
        f"No trial had the default of {', '.join(untried)}." if untried else "",
    )
    return figure


@needs(importance="selector measure setting importance trials")
@styled
def tuning_importance(importance: pd.DataFrame, sweep: Sweep, names: Names) -> Figure:
    """How much each setting matters by two measures; a panel for each selector.

    Takes `tuning.tables.importance_table`.
    """
    present = [selector for selector in names if selector in set(importance["selector"])]
    if not present:
        return blank("Too few trials to tell which settings matter.")
    short = short_names(sweep.space)
    most = max(len(sweep.space_of(selector)) for selector in present)
    columns = fitting(min(len(present), 2), 2.6)
    figure, grid = panels(len(present), 0.6 + 0.36 * most, columns)
    for axes, selector in zip(grid, present, strict=True):
        own = importance[importance["selector"] == selector]
        wide = own.pivot(index="setting", columns="measure", values="importance")
        wide = wide.sort_values("fanova", ascending=False, kind="stable")
        y = np.arange(len(wide))
        for shift, (measure, (_, colour)) in zip((-0.2, 0.2), MEASURES.items(), strict=True):
            hatch = "////" if measure == "ped_anova" else ""
            axes.barh(y + shift, wide[measure], 0.36, color=colour, hatch=hatch, edgecolor="white")
        axes.set_yticks(y, [_label(short[str(key)], 18) for key in wide.index])
        axes.set_ylim(most - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.set_xlabel("importance")
        _title(axes, names[selector], int(own["trials"].iloc[0]), columns)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
    handles = [
        Patch(facecolor=colour, edgecolor="white", hatch="////" if name == "ped_anova" else "")
        for name, (_, colour) in MEASURES.items()
    ]
    swatches(figure, handles, [label for label, _ in MEASURES.values()])
    left_out = [name for selector, name in names.items() if selector not in present]
    note(
        figure,
        "Share of each setting; those of a selector and measure sum to 1. fANOVA: of the "
        "objective's variance, by a random forest; PED-ANOVA: by how differently the better "
        "trials' values are spread. Of all n trials, by their value in the first stage; few trials "
        "say little. No interval, no test.",
        f"Too few trials or all equal: {', '.join(left_out)}." if left_out else "",
    )
    return figure


@needs(trials="selector trial value complete", outcome="selector settings")
@styled
def tuning_slices(
    trials: pd.DataFrame,
    outcome: pd.DataFrame,
    choices: Choices,
    sweep: Sweep,
    names: Names,
    terms: Terms,
) -> Figure:
    """The objective against each setting of each selector; a panel for each."""
    short = short_names(sweep.space)
    spaces = {selector: list(sweep.space_of(selector)) for selector in names}
    columns = fitting(min(max(map(len, spaces.values())), 4))
    shown_ones: list[tuple[str, str]] = []
    places: list[int] = []  # each selector begins a row
    for selector, keys in spaces.items():
        first = -(-(places[-1] + 1) // columns) * columns if places else 0
        shown_ones += [(selector, key) for key in keys]
        places += [first + i for i in range(len(keys))]
    rows = places[-1] // columns + 1
    width = figure_width(len(places) > 1)
    figure = Figure(figsize=(width, 1.75 * rows), layout="constrained")
    grid = [figure.add_subplot(rows, columns, at + 1) for at in places]
    last = max(1, int(trials["trial"].max()))
    colours = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, last), SHADES)
    for axes, at, (selector, key) in zip(grid, places, shown_ones, strict=True):
        own = trials[trials["selector"] == selector]
        dimension, choice = sweep.space[key], choices[selector]
        x = np.array([place(dimension, value) for value in own[key]])
        if dimension.choices is not None:  # beside each other
            x = x + 0.16 * (own["trial"] / last - 0.5) / max(1, len(dimension.choices) - 1)
        shades = colours.to_rgba(own["trial"].to_numpy(float))
        done = own["complete"].to_numpy(bool)
        axes.scatter(x[done], own["value"][done], c=shades[done], s=10, zorder=3)
        axes.scatter(
            *(x[~done], own["value"][~done]),
            facecolors="none",
            edgecolors=shades[~done],
            s=10,
            linewidths=0.8,
            zorder=3,
        )
        for settings, value in _marked(choice, key):
            colour, line = LINES[settings]
            where = place(dimension, value)
            if -0.05 <= where <= 1.05:
                axes.axvline(where, color=colour, linestyle=line, linewidth=1)
        _ticks(axes, dimension, columns)
        beyond = 0.2 if dimension.choices is not None else 0.08
        axes.set_xlim(-beyond, 1 + beyond)
        axes.margins(y=0.1)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_ylabel("objective" if at % columns == 0 else "")
        axes.set_title(f"{wrap(names[selector], 20)}\n{_label(short[key], 20)}")
    some = np.unique(np.linspace(0, last, 4).round().astype(int))
    handles = [
        *(_dot(colours.to_rgba(trial), colours.to_rgba(trial)) for trial in some),
        *_points(sweep)[1:],
        *(Line2D([], [], color=colour, linestyle=line) for colour, line in LINES.values()),
    ]
    labels = [*(f"trial {trial}" for trial in some), *_kinds(sweep)[1:], DEFAULT, *CALLED.values()]
    swatches(figure, handles, labels)
    log = any(dimension.log for dimension in sweep.space.values())
    note(
        figure,
        _about(outcome, sweep, terms),
        EARLY if sweep.halving else "",
        "Values that were searched by their logarithm are on a logarithmic axis." if log else "",
        "A value outside what was searched is not shown.",
    )
    return figure


@needs(trials="selector trial value complete", outcome="selector settings")
@styled
def tuning_parallel(
    trials: pd.DataFrame,
    outcome: pd.DataFrame,
    choices: Choices,
    sweep: Sweep,
    names: Names,
    terms: Terms,
) -> Figure:
    """A line for each trial through its values, the best tenth on top; a panel for each selector,
    or several where it has more settings than there is room for."""
    short = short_names(sweep.space)
    most = fitting(100, 0.68) - 1
    rows = [
        (selector, keys)
        for selector in names
        for keys in _parts(list(sweep.space_of(selector)), max(1, most))
    ]
    widest = max(len(keys) for _, keys in rows)
    figure, grid = panels(len(rows), 2.2, 1)
    for axes, (selector, keys) in zip(grid, rows, strict=True):
        own, top = trials[trials["selector"] == selector], set(choices[selector].top)
        low, high = own["value"].min(), own["value"].max()
        span = high - low if high > low else 1
        for row in own.sort_values("value").to_dict("records"):
            y = [place(sweep.space[key], row[key]) for key in keys]
            y.append((row["value"] - low) / span)
            axes.plot(y, **_line(row["trial"] in top, bool(row["complete"])))
        places = decimals([low, high])
        texts = [shown(one) for key in keys for one in sweep.space[key].choices or ()]
        beyond = 0.1 + 0.1 * max([wrap(text, 10).count("\n") for text in texts], default=0)
        for x, key in enumerate(keys):
            _scale(axes, x, sweep.space[key])
        for end, value in enumerate((low, high)):
            _end(axes, len(keys), end, number(value, places))
        for x in range(len(keys) + 1):
            axes.plot([x, x], [0, 1], color="black", linewidth=0.6)
        axes.set_xlim(-0.5, widest + 0.5)
        axes.set_ylim(-beyond, 1 + beyond)  # ends of scales stand above and below
        labels = [*(_label(short[key], 11) for key in keys), "objective"]
        axes.set_xticks(range(len(labels)), labels)
        axes.tick_params(axis="x", length=0)
        axes.set_yticks([])
        axes.grid(False)
        axes.spines[:].set_visible(False)
        _title(axes, names[selector], len(own), 1)
    kinds = [(True, True), (False, True), *([(False, False)] if sweep.halving else [])]
    handles = [Line2D([], [], **{**_line(*kind), "zorder": 1}) for kind in kinds]
    labels = ["best tenth", "others", "stopped early"]
    swatches(figure, handles, labels[: len(kinds)])
    note(
        figure,
        _about(outcome, sweep, terms),
        "A line for each trial. The ends of a scale are the lowest and the highest value that was "
        "searched; of the objective, the worst and the best trial.",
    )
    return figure


def _label(key: str, width: int) -> str:
    """The name of a setting in lines of at most `width` characters, broken after a dot first."""
    if len(key) <= width:
        return key
    section, dot, rest = key.rpartition(".")
    return wrap(section + dot, width) + "\n" * bool(dot) + wrap(rest, width)


def _title(axes: Axes, name: str, trials: int, columns: int) -> None:
    """Name a panel's selector and number of trials; `columns` panels are side by side."""
    width = axes.figure.get_figwidth() / columns  # type: ignore[union-attr]
    text = f"{name} (n = {trials} trial{'s' * (trials > 1)})"
    axes.set_title(wrap(text, int(width * 72 / (points(8) * 0.7))))


def _about(outcome: pd.DataFrame, sweep: Sweep, terms: Terms) -> str:
    words = objective_in_words(sweep, terms, outcome["env"].nunique())
    return f"Objective: {words}, on {ALL_TRIALS}"


def _trials(axes: Axes, x: pd.Series, y: pd.Series, complete: pd.Series) -> None:
    done = complete.astype(bool)
    axes.plot(x[done], y[done], "o", color=TRIAL, markeredgewidth=0.8)
    axes.plot(x[~done], y[~done], "o", color="none", markeredgecolor=STOPPED, markeredgewidth=0.8)


def _dot(colour: Any, edge: Any) -> Line2D:
    return Line2D([], [], color=colour, marker="o", linestyle="", markeredgecolor=edge)


def _points(sweep: Sweep) -> list[Line2D]:
    return [_dot(TRIAL, TRIAL), *([_dot("none", STOPPED)] if sweep.halving else [])]


def _kinds(sweep: Sweep) -> list[str]:
    return ["trial", *(["stopped early"] if sweep.halving else [])]


def _marked(choice: Choice, key: str) -> Iterator[tuple[str, Any]]:
    """Default, best and typical value of a setting."""
    if choice.own is not None:
        yield DEFAULT, choice.own[key]
    for settings in (BEST, TYPICAL):
        yield settings, choice.values[settings][key]


def _ticks(axes: Axes, dimension: Dimension, columns: int) -> None:
    """What the places between 0 and 1 stand for: choices, powers of ten or round numbers."""
    if dimension.choices is not None:
        last = len(dimension.choices) - 1
        room = int(figure_width(columns > 1) / columns * 72 * 0.7 / (points(7) * 0.62))
        labels = [wrap(shown(choice), max(4, room // (last + 1))) for choice in dimension.choices]
        axes.set_xticks([i / last for i in range(last + 1)], labels)
        if last > 3:
            axes.set_xticks(axes.get_xticks(), map(shown, dimension.choices), rotation=90)
        return
    low, high = dimension.range
    if dimension.log:
        tens = [10.0**power for power in range(*_powers(low, high))]
        values: Sequence[float] = tens[:: 1 + len(tens) // 4] if len(tens) > 1 else (low, high)
    else:
        steps = [1, 2, 5, 10]
        found = MaxNLocator(4, steps=steps, integer=bool(dimension.whole)).tick_values(low, high)
        values = [value for value in found if low <= value <= high] or [low, high]
    axes.set_xticks(
        [place(dimension, value) for value in values], [shown(float(value)) for value in values]
    )


def _powers(low: float, high: float) -> tuple[int, int]:
    """The powers of ten between two numbers, as for `range`."""
    first, last = np.log10([low, high])
    return int(np.ceil(first - 1e-9)), int(np.floor(last + 1e-9)) + 1


def _parts(keys: list[str], size: int) -> Iterator[list[str]]:
    """Lists of about equal length, of at most `size`."""
    pieces = -(-len(keys) // size)
    for part in np.array_split(np.arange(len(keys)), pieces):
        yield [keys[i] for i in part]


def _line(best: bool, complete: bool) -> dict[str, Any]:
    if best:
        return {"color": LINES[BEST][0], "linewidth": 1.5, "zorder": 3}
    if complete:
        return {"color": "#777777", "linewidth": 0.6, "alpha": 0.7, "zorder": 2}
    return {"color": "#999999", "linewidth": 0.6, "linestyle": ":", "zorder": 1}


def _scale(axes: Axes, x: int, dimension: Dimension) -> None:
    """The ends of a setting's scale, or each of its choices."""
    if dimension.choices is None:
        for end, value in enumerate(dimension.ends):
            _end(axes, x, end, shown(value))
        return
    for i, choice in enumerate(dimension.choices):
        y = i / (len(dimension.choices) - 1)
        text = wrap(shown(choice), 10)
        if y in (0, 1):
            _end(axes, x, int(y), text)
        else:
            axes.text(
                *(x, y, text),
                ha="center",
                va="center",
                fontsize=points(6),
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
                zorder=4,
            )


def _end(axes: Axes, x: int, y: int, text: str) -> None:
    axes.text(
        *(x, y + (0.03 if y else -0.03), text),
        ha="center",
        va="bottom" if y else "top",
        fontsize=points(6),
    )
