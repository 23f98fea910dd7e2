"""Label efficiency from runs of several budgets, against plain loops and closed forms."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.analysis.budgets import SHARES, budgets, labels_needed, reached
from active_rlhf.analysis.wording import Terms
from active_rlhf.figures.budgets import budgets as figure_of
from active_rlhf.study import matrix
from active_rlhf.study.loading import load_study

LABELS = {"b25": {"E": 25}, "b100": {"E": 100}, "b400": {"E": 400}}


def endpoints(**of):
    """method -> variant -> values of its runs."""
    rows = [
        (variant, "E", method, seed, "endpoint", float(value))
        for method, by_variant in of.items()
        for variant, values in by_variant.items()
        for seed, value in enumerate(values)
    ]
    columns = ["variant", "env", "method", "seed", "metric_type", "value"]
    return pd.DataFrame(rows, columns=columns)


GIVEN = endpoints(
    random={"b25": [0, 2], "b100": [4, 6], "b400": [10, 12]},
    duo={"b25": [9, 9], "b100": [10, 10], "b400": [1, 3]},
    none={"b25": [0, 0], "b100": [0, 0], "b400": [0, 0]},
)


def test_budgets_are_the_endpoints_means_in_rising_order():
    table = budgets(GIVEN, dict(reversed(LABELS.items())), resamples=200)
    assert table["labels"].tolist() == [25, 100, 400] * 3
    assert table["mean"].tolist() == [1, 5, 11, 9, 10, 2, 0, 0, 0]
    assert (table["ci_low"] <= table["mean"]).all() and (table["mean"] <= table["ci_high"]).all()


def test_levels_are_reached_where_straight_lines_over_log_labels_cross_them():
    table = labels_needed(GIVEN, LABELS, resamples=200).set_index(["method", "share"])["labels"]
    # Random rises from 1 through 5 to 11; half the way, 6, is a sixth of the way from 100 to 400.
    assert table["random", 0.5] == pytest.approx(100 * 4 ** (1 / 6))
    # DUO is above 6 and 8.5 from the first budget on, and reaches 10 at the second.
    assert table["duo", 0.5] == table["duo", 0.75] == 25
    assert table["duo", 0.9] == pytest.approx(100)
    assert np.isinf([table["none", share] for share in SHARES]).all()


def test_an_environment_where_labels_buy_nothing_is_left_out():
    flat = endpoints(random={"b25": [3, 3], "b100": [1, 1], "b400": [3, 3]})
    assert labels_needed(flat, LABELS, resamples=100).empty


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(-5, 5))
def test_reached_is_the_first_crossing(means, threshold):
    labels = 10.0 * 2.0 ** np.arange(len(means))
    found = reached(labels, np.array(means)[:, None], threshold)[0]
    if max(means) < threshold:
        assert np.isinf(found)
        return
    at = next(i for i, mean in enumerate(means) if mean >= threshold)
    if at == 0:
        assert found == labels[0]
        return
    way = (threshold - means[at - 1]) / (means[at] - means[at - 1])
    assert found == pytest.approx(labels[at - 1] * 2**way)


def test_the_figure_has_a_mark_for_each_budget():
    axes = figure_of(budgets(GIVEN, LABELS, resamples=100), Terms()).axes[0]
    marks = [line for line in axes.lines if line.get_marker() not in ("_", "None", None)]
    assert [line.get_ydata()[2] for line in marks if len(line.get_ydata()) == 3][:1] == [11]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["25", "100", "400"]


STUDY = {
    "study": "s",
    "seeds": [1],
    "environments": ["Hopper-v5"],
    "selectors": ["random", "duo"],
    "total_steps": 40_960,
    "labels": {"total": 100, "initial": 20, "sessions": 5},
}


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        (
            {"few": {"labels": {"total": 50, "initial": 10}}, "all": {}},
            {"few": {"Hopper-v5": 50}, "all": {"Hopper-v5": 100}},
        ),
        ({"few": {"labels": {"total": 50}, "teacher": "mistake"}, "all": {}}, None),
        ({"all": {}, "early": {"labels": {"initial": 30}}}, None),
        ({"all": {}}, None),
        (None, None),
    ],
)
def test_variants_are_budgets_only_if_nothing_else_differs(variants, expected):
    study = load_study("s.yaml", data=STUDY | ({"variants": variants} if variants else {}))
    assert matrix.budgets(study) == expected
