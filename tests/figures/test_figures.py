"""Figures: nothing overlaps or is cut, what is drawn is the data, and the bytes do not change."""

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats
from synthetic import NASTY, inspections, names, overhead, runs, sessions, study

from active_rlhf.analysis import overhead as cost
from active_rlhf.analysis.curves import curves
from active_rlhf.analysis.inspection import mean_maps, reliability_curves
from active_rlhf.analysis.progress import progress
from active_rlhf.analysis.wording import Terms
from active_rlhf.figures.curves import band, learning_curves
from active_rlhf.figures.effects import forest, reward_forest
from active_rlhf.figures.endpoints import endpoint_distributions, reward_distributions
from active_rlhf.figures.inspection import maps, reliability
from active_rlhf.figures.labels import reward_accuracy, reward_measures
from active_rlhf.figures.limits import limits
from active_rlhf.figures.overhead import overhead_bars
from active_rlhf.figures.profiles import efficiency, performance_profiles
from active_rlhf.figures.progress import training_progress
from active_rlhf.figures.rankings import (
    critical_difference_diagram,
    improvement_matrix,
    indistinguishable,
)
from active_rlhf.figures.style import RC, method_styles, save

ENVS = ["HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5"]
ENVS += ["A-Rather-Long-Environment-Name-v0", "Task6-v1"]
EXCLUDED = ({"env": ENVS[0], "method": "DUO", "seed": 7, "reason": "stopped at 671k steps"},)
STUDIES = {
    "least": (names(2), ENVS[:1], 1),
    "usual": (names(4), ENVS[:4], 10),
    "most": (names(12), ENVS, 4),
    "nasty names": (NASTY, ["50%_&$x$^{\\}-v5", "β"], 6),
}
OTHERS = names(4), ENVS[:1], 10, 0.25  # some of whose differences are shown and some not


def draw_all(methods: list[str], envs: list[str], n: int) -> dict[str, Figure]:
    few = len(methods) < 10  # more have no room for all forests
    options = {"measured": True, "every_pair": few, "excluded": EXCLUDED}
    frames, terms = study(methods, envs, n, 0.1, **options)
    tables = frames["summary"], terms
    costs = cost.select(overhead(methods, envs, n), {name: name for name in methods})
    return {
        "curve": learning_curves(frames["curves"], terms, envs[0]),
        "curves": learning_curves(frames["curves"], terms),
        "efficiency": efficiency(frames["efficiency"], frames["aggregates"], terms),
        "endpoints": endpoint_distributions(frames["endpoints"], *tables),
        "forest of one": forest(frames["comparisons"], terms, envs[0]),
        **({"forest": forest(frames["comparisons"], terms)} if few else {}),
        "profiles": performance_profiles(frames["profiles"], frames["aggregates"], terms),
        "improvement": improvement_matrix(frames["improvement"], *tables),
        "ranks": critical_difference_diagram(frames["ranks"], terms),
        "accuracy": reward_accuracy(sessions(methods, envs, n), terms),
        "measures": reward_measures(sessions(methods, envs, n), terms),
        "rewards": reward_distributions(frames["endpoints"], *tables, envs[0]),
        **({"losses": reward_forest(frames["comparisons"], terms, envs[0])} if few else {}),
        "limits": limits(frames["quality"], frames["limits"], terms),
        "overhead": overhead_bars(costs, terms),
        **what_was_learned(methods, envs[0], n, terms),
    }


def what_was_learned(methods: list[str], env: str, n: int, terms: Terms) -> dict[str, Figure]:
    asked, shown = inspections(methods, env, n), {name: name for name in methods}
    learned = runs(methods, [env], n).assign(learned_return=lambda rows: rows["return"] / 2)
    return {
        "calibration": reliability(reliability_curves(asked, shown), terms, env),
        "maps": maps(mean_maps(asked, shown), terms, env),
        "progress": training_progress(
            progress(learned, sessions(methods, [env], n), resamples=100), terms, env
        ),
    }


SLOW = ("usual", "most")


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow][: name in SLOW]) for name in STUDIES],
)
def figures(request: pytest.FixtureRequest) -> dict[str, Figure]:
    return draw_all(*STUDIES[request.param])


def drawn(figure: Figure) -> list[Text]:
    """The texts that a reader sees."""
    texts = [*figure.texts, *(text for box in figure.legends for text in box.get_texts())]
    for axes in figure.axes:
        texts += [axes.title, *axes.texts]
        for part in [axes, *axes.child_axes] if axes.axison else []:
            for axis in (part.xaxis, part.yaxis):
                texts.append(axis.label)
                low, high = sorted(axis.get_view_interval())
                slack = 1e-9 * (high - low)
                for tick in axis.get_major_ticks():
                    if low - slack <= tick.get_loc() <= high + slack:
                        texts += [tick.label1, tick.label2]
    return [text for text in texts if text.get_text().strip() and text.get_visible()]


def faults(figure: Figure) -> list[str]:
    """Texts that leave the figure or meet another text, by more than a pixel."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = drawn(figure)
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    width, height = canvas.get_width_height()
    found = [
        f"cut: {text.get_text()!r}"
        for text, box in zip(texts, boxes, strict=True)
        if min(box.x0, box.y0) < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    for (a, one), (b, other) in combinations(zip(texts, boxes, strict=True), 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        along = min(one.y1, other.y1) - max(one.y0, other.y0)
        if min(across, along) > 1:
            found.append(f"overlap: {a.get_text()!r} and {b.get_text()!r}")
    return found


def test_no_text_is_cut_or_overlaps(figures):
    with_faults = {name: faults(figure) for name, figure in figures.items()}
    assert {name: found for name, found in with_faults.items() if found} == {}


def test_the_check_of_texts_finds_faults():
    figure = Figure(figsize=(2, 2))
    figure.text(0.5, 0.5, "one")
    figure.text(0.52, 0.5, "two")
    figure.text(0.99, 0.1, "three")
    assert len(faults(figure)) == 2


def test_every_figure_has_a_usual_width_and_states_n_and_what_was_asked(figures):
    assert {figure.get_figwidth() for figure in figures.values()} <= {3.4, 7.0}
    for name, figure in figures.items():
        text = " ".join(t.get_text().replace("\n", " ") for t in drawn(figure))
        assert "n = " in text, name
        assert ("Teacher: oracle; label budget: 500 per run." in text) == (name != "overhead"), name


def test_a_method_keeps_its_style_when_others_are_missing():
    frames, terms = study(*OTHERS)
    table = frames["curves"]
    everywhere = method_styles(table, terms)
    some = table[table["method"].isin(["DUO", "Hybrid"])]
    assert method_styles(some, terms) == {name: everywhere[name] for name in ("DUO", "Hybrid")}
    # Colour, line and marker tell even the 28 first methods apart.
    many = Terms(methods=tuple(names(28)))
    frame = table.iloc[:28].assign(method=names(28))
    assert len(set(method_styles(frame, many).values())) == 28


def test_curves_show_the_table_and_the_named_interval():
    frames, terms = study(*OTHERS)
    table = frames["curves"]
    axes = learning_curves(table, terms).axes[0]
    for line, method in zip(axes.lines, names(4), strict=True):
        rows = table[table["method"] == method]
        np.testing.assert_array_equal(line.get_xdata(), rows["step"])
        np.testing.assert_array_equal(line.get_ydata(), rows["mean"])
        assert same_color(line.get_color(), method_styles(table, terms)[method].colour)


@pytest.mark.parametrize("interval", ["bootstrap", "t", "sd"])
def test_bands_are_the_intervals_that_the_note_names(interval):
    frame = runs(names(1), ENVS[:1], 6)
    table = curves(frame, resamples=200)
    terms = Terms(interval=interval)
    low, high = band(table, terms)
    last = frame.groupby("seed")["return"].apply(lambda values: values.iloc[-10:].mean())
    expected = {
        "bootstrap": (table["ci_low"].iloc[-1], table["ci_high"].iloc[-1]),
        "t": stats.t.interval(0.95, 5, last.mean(), stats.sem(last)),
        "sd": (last.mean() - last.std(), last.mean() + last.std()),
    }[interval]
    np.testing.assert_allclose((low.iloc[-1], high.iloc[-1]), expected)
    note = learning_curves(table, terms).texts[0].get_text().replace("\n", " ")
    word = {"bootstrap": "bootstrap", "t": "95% t interval", "sd": "standard deviation"}[interval]
    assert word in note


def test_one_run_has_no_band():
    table = curves(runs(names(1), ENVS[:1], 1), resamples=100)
    for interval in ("bootstrap", "t", "sd"):
        assert all(ends.isna().all() for ends in band(table, Terms(interval=interval)))


def test_every_seed_is_a_point():
    frames, terms = study(*OTHERS)
    values = frames["endpoints"].query("metric_type == 'endpoint'")
    axes = endpoint_distributions(frames["endpoints"], frames["summary"], terms).axes[0]
    for method in names(4):
        expected = sorted(values.loc[values["method"] == method, "value"])
        assert any(
            len(line.get_ydata()) == 10 and sorted(line.get_ydata()) == expected
            for line in axes.lines
        )


def test_forest_fills_exactly_the_rejected():
    frames, terms = study(*OTHERS)
    rows = frames["comparisons"].query("metric_type == 'endpoint'")
    assert rows["reject_null"].any() and not rows["reject_null"].all()
    axes = forest(frames["comparisons"], terms).axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    filled = [same_color(line.get_markerfacecolor(), "black") for line in points]
    assert filled == list(rows["reject_null"])
    np.testing.assert_array_equal([line.get_xdata()[0] for line in points], rows["hodges_lehmann"])


@given(st.lists(st.integers(10, 60), min_size=2, max_size=8).map(sorted), st.integers(1, 60))
def test_bars_of_ranks_against_brute_force(tenths, distance):
    """The maximal sets of neighbours in rank whose outermost members differ by less than CD."""
    ranks = np.array(tenths) / 8  # exact in binary, so that 'less than' means it
    cd = distance / 8
    k = len(ranks)
    alike = {(i, j) for i in range(k) for j in range(i + 1, k) if ranks[j] - ranks[i] < cd}
    largest = {
        (i, j)
        for i, j in alike
        if not any((a, b) != (i, j) and a <= i and j <= b for a, b in alike)
    }
    assert set(indistinguishable(ranks, cd)) == largest


@pytest.mark.parametrize(("measure", "clock"), [("wall_s", "wall"), ("cpu_s", "CPU")])
def test_bars_add_up_to_the_time_of_a_run(measure, clock):
    table = cost.select(overhead(names(3), ENVS[:1], 4), {name: name for name in names(3)})
    table["cpu_s"] = 1.1 * table["wall_s"]
    axes = overhead_bars(table, Terms(), measure).axes[0]
    assert axes.get_xlabel().startswith(f"{clock} time")
    ends = {}
    for bar in axes.patches:
        y = round(bar.get_y() + bar.get_height() / 2)
        ends[y] = max(ends.get(y, 0), bar.get_x() + bar.get_width())
    seconds = table.groupby("method", observed=True)[measure].mean()
    np.testing.assert_allclose([ends[i] for i in range(3)], seconds / 60)  # longest is 303 s


def test_missing_results_are_stated():
    frames, terms = study(*OTHERS)
    nothing_held_out = sessions(names(2), ENVS[:1], 2).assign(validation_accuracy=np.nan)
    accuracy = reward_accuracy(nothing_held_out, terms)
    assert [[t.get_text() for t in axes.texts] for axes in accuracy.axes] == [[], ["none"], []]
    assert faults(accuracy) == []
    for figure in (
        reward_accuracy(sessions(names(2), ENVS[:1], 1).iloc[:0], terms),
        performance_profiles(frames["profiles"].iloc[:0], frames["aggregates"], terms),
        efficiency(frames["efficiency"].iloc[:0], frames["aggregates"], terms),
        improvement_matrix(frames["improvement"].iloc[:0], frames["summary"], terms),
        critical_difference_diagram(frames["ranks"].iloc[:0], terms),
        forest(frames["comparisons"].iloc[:0], terms),
    ):
        assert figure.axes[0].texts[0].get_text()
        assert faults(figure) == []


def draw_and_save(path: str | Path) -> None:
    table = curves(runs(names(3), ["Hopper-v5"], 3), resamples=100)
    save(learning_curves(table, Terms()), [f"{path}.pdf", f"{path}.png"])


@pytest.mark.slow
def test_same_figure_same_bytes_in_another_process_at_another_time(tmp_path):
    draw_and_save(tmp_path / "here")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([*map(str, Path(__file__).parents[:2]), *sys.path]),
        "PYTHONHASHSEED": "7",
        "TZ": "Pacific/Auckland",
        "SOURCE_DATE_EPOCH": "1000000000",
    }
    code = f"import test_figures; test_figures.draw_and_save({str(tmp_path / 'there')!r})"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    for suffix in (".pdf", ".png"):
        here, there = (tmp_path / f"{name}{suffix}" for name in ("here", "there"))
        assert here.read_bytes() == there.read_bytes()
        assert here.stat().st_size > 5000


def test_style_leaves_matplotlib_as_it_was(tmp_path):
    import matplotlib as mpl

    before = {key: mpl.rcParams[key] for key in RC}
    draw_and_save(tmp_path / "v5.0")
    assert {key: mpl.rcParams[key] for key in RC} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v5.0.pdf", "v5.0.png"]
