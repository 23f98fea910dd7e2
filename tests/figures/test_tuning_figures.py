"""Figures of sweeps: no text meets another, and what is drawn is what trials came to."""

import optuna
import pytest
from matplotlib.colors import same_color
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from test_figures import drawn, faults
from tuned_studies import SPACE, Tuned, tuned

from active_rlhf.figures.style import look, save
from active_rlhf.figures.tuning import (
    LINES,
    tuning_importance,
    tuning_parallel,
    tuning_progress,
    tuning_slices,
)
from active_rlhf.tuning.outcome import place
from active_rlhf.tuning.suggest import frozen_trials

NAMES = {"random": "Random", "hybrid": "a_method_with_a_really_very_long_name"}
MORE = {"duo": "DUO $x_1$ <b>", "variquery": "VARIQuery"}
HALVING = [{"seeds": 1}, {"seeds": 2}]
CASES = {
    "least": ({"random": "Random"}, 2, 5, {}),
    "usual": (NAMES, 8, 24, {"halving": HALVING}),
    "most": (NAMES | MORE, len(SPACE), 40, {"halving": HALVING}),
}


def draw(done: Tuned) -> dict:
    shown = done.trials, done.outcome
    more = done.choices, done.sweep, done.names, done.terms
    return {
        "progress": tuning_progress(*shown, *more[1:]),
        "importance": tuning_importance(done.importance, *more[1:3]),
        "slices": tuning_slices(*shown, *more),
        "parallel": tuning_parallel(*shown, *more),
    }


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow][: name == "most"]) for name in CASES],
)
def done(request):
    names, settings, trials, changes = CASES[request.param]
    return tuned(names, settings, trials, **changes)


@pytest.fixture(scope="module")
def figures(done):
    return draw(done)


def test_no_text_is_cut_or_overlaps(figures):
    found = {name: faults(figure) for name, figure in figures.items()}
    assert {name: one for name, one in found.items() if one} == {}
    for name, figure in figures.items():
        text = " ".join(one.get_text().replace("\n", " ") for one in drawn(figure))
        assert "No interval, no test" in text, name


def test_nor_in_a_column():
    with look(width=3.4):
        found = draw(tuned(NAMES, 6, 12, halving=HALVING))
        assert {name: faults(figure) for name, figure in found.items() if faults(figure)} == {}
        assert {figure.get_figwidth() for figure in found.values()} == {3.4}


@pytest.mark.parametrize("done", ["usual"], indirect=True)
def test_importances_are_optuna_s_own(done, figures):
    evaluators = (FanovaImportanceEvaluator(seed=0), PedAnovaImportanceEvaluator())
    for axes, (selector, history) in zip(
        figures["importance"].axes, done.histories.items(), strict=True
    ):
        study = optuna.create_study(direction="maximize")
        for t in frozen_trials(done.sweep, selector, history):
            first = {"value": t.intermediate_values[0], "params": t.params}
            study.add_trial(optuna.trial.create_trial(**first, distributions=t.distributions))
        bars = [[bar.get_width() for bar in container] for container in axes.containers]
        for drawn_ones, evaluator in zip(bars, evaluators, strict=True):
            own = optuna.importance.get_param_importances(study, evaluator=evaluator)
            assert sorted(drawn_ones) == pytest.approx(sorted(own.values()))
        assert f"n = {len(study.trials)} trials" in axes.get_title().replace("\n", " ")


def test_progress_shows_each_trial_the_best_and_the_default(done, figures):
    for axes, selector in zip(figures["progress"].axes, done.names, strict=True):
        own = done.trials[done.trials["selector"] == selector]
        full, hollow, best, *default = axes.lines
        assert set(full.get_ydata()) == set(own.loc[own["complete"], "value"])
        assert set(hollow.get_ydata()) == set(own.loc[~own["complete"], "value"])
        assert best.get_ydata()[-1] == done.choices[selector].value
        first = own.set_index("trial").loc[0]
        assert [line.get_ydata()[0] for line in default] == [first["value"]]
        assert same_color(default[0].get_color(), "black") == first["complete"]


def test_slices_mark_default_best_and_typical(done, figures):
    pairs = [(name, key) for name in done.names for key in done.sweep.space_of(name)]
    for axes, (selector, key) in zip(figures["slices"].axes, pairs, strict=True):
        choice, dimension = done.choices[selector], done.sweep.space[key]
        values = (choice.own[key], choice.values["best"][key], choice.values["typical"][key])
        where = [place(dimension, value) for value in values]
        assert [line.get_xdata()[0] for line in axes.lines] == [x for x in where if 0 <= x <= 1]
        heights = [y for dots in axes.collections for _, y in dots.get_offsets()]
        own = done.trials[done.trials["selector"] == selector]
        assert sorted(heights) == sorted(own["value"])


def test_parallel_coordinates_highlight_the_best_tenth(done, figures):
    seen = set()
    for axes in figures["parallel"].axes:
        shown = axes.get_title().replace("\n", "")
        (selector,) = (one for one, name in done.names.items() if shown.startswith(name))
        own = done.trials[(done.trials["selector"] == selector) & done.trials["complete"]]
        strong = [line for line in axes.lines if same_color(line.get_color(), LINES["best"][0])]
        assert len(strong) == len(done.choices[selector].top) == max(1, done.sweep.trials // 10)
        every = done.trials.loc[done.trials["selector"] == selector, "value"]
        low, high = every.min(), every.max()
        wanted = (own["value"].nlargest(len(strong)) - low) / (high - low)
        assert sorted(line.get_ydata()[-1] for line in strong) == pytest.approx(sorted(wanted))
        seen.add(selector)
    assert seen == set(done.names)


def test_nothing_is_said_of_importance_without_trials():
    few = tuned({"random": "Random"}, 2, 3)
    assert few.importance.empty
    (text,) = tuning_importance(few.importance, few.sweep, few.names).axes[0].texts
    assert "Too few trials" in text.get_text().replace("\n", " ")


def test_the_same_trials_give_the_same_bytes(tmp_path):
    for folder in ("one", "other"):
        for name, figure in draw(tuned({"random": "Random"}, 2, 5)).items():
            save(figure, [tmp_path / folder / f"{name}.png"])
    files = sorted((tmp_path / "one").iterdir())
    assert len(files) == 4
    for path in files:
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name
