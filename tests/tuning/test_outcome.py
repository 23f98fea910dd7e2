"""What is said of tuning: the statistics' numbers, and no more than they show."""

import math

import numpy as np
import pytest
from tuned_studies import SPACE, tuned

from active_rlhf.analysis.tuning import tuning_findings
from active_rlhf.analysis.wording import number, p_value
from active_rlhf.study.sweep import Dimension
from active_rlhf.tables.format import latex
from active_rlhf.tables.tuning import best_trials, tuned_settings, tuning
from active_rlhf.tuning.outcome import best_so_far, place, searched, short_names, shown

BOTH = {"random": "Random", "hybrid": "Hybrid"}
HALVING = [{"seeds": 1}, {"seeds": 2}]


@pytest.fixture(scope="module")
def done():
    return tuned(BOTH, envs=2, halving=HALVING)


def column(table, head):
    at = table.columns.index(head)
    return [row[at].text for row in table.rows]


def test_the_table_has_the_numbers_of_the_statistics(done):
    table = tuning(done.outcome, done.variants, done.sweep, done.terms)
    assert len(table.rows) == 2 * 2 * 3  # selectors, environments, settings
    keys = ("Selector", "Environment", "Settings", "Minus default (HL)", "Holm p", "n")
    rows = zip(*(column(table, head) for head in keys), strict=True)
    compared = 0
    main = done.variants[done.variants["metric_type"] == "endpoint"]
    tests = main.set_index(["selector", "env", "method_a"]).to_dict("index")
    for *where, settings, estimate, p, n in rows:
        row = tests.get((*where, settings))
        if settings == "default":
            assert row is None and (estimate, p, n) == ("–", "–", "6")
            continue
        assert float(estimate.replace("−", "-")) == pytest.approx(row["hodges_lehmann"], abs=0.5)
        assert p == p_value(row["p_value_holm"]) and int(n) == row["n"]
        compared += 1
    assert compared == 8
    said = table.caption
    for part in ("24 trials of each selector, the same number for all", "101 and 102", "n = 6"):
        assert part in said
    assert "tuning seeds and test seeds have none in common" in said and "Holm within" in said


def test_objectives_are_those_of_the_trials(done):
    best = done.outcome[done.outcome["settings"] == "best"]
    for selector, name in BOTH.items():
        own = done.trials[(done.trials["selector"] == selector) & done.trials["complete"]]
        row = best[best["selector"] == name].iloc[0]
        assert row["objective"] == own["value"].max()
        assert row["trial"] == own.loc[own["value"].idxmax(), "trial"]
    default = done.outcome[done.outcome["settings"] == "default"]
    assert set(default["trial"]) == {0}
    assert set(done.outcome.groupby("selector")["trials"].first()) == {24}


def test_trials_are_listed_best_first_and_those_stopped_early_last(done):
    table = best_trials(done.trials, done.sweep, BOTH, done.terms, 1)
    assert column(table, "Selector") == ["Random"] * 10 + ["Hybrid"] * 10
    assert column(table, "Stopped") == [""] * 20
    own = done.trials[(done.trials["selector"] == "hybrid") & done.trials["complete"]]
    wanted = own.sort_values("value", ascending=False)["trial"].head(10)
    assert column(table, "Trial")[10:] == [str(trial) for trial in wanted]
    assert set(column(table, "beta")[:10]) == {"–"} and "–" not in column(table, "beta")[10:]
    few = tuned(BOTH, trials=6, per_round=6, halving=HALVING)
    table = best_trials(few.trials, few.sweep, BOTH, few.terms, 1)
    assert column(table, "Stopped") == (["", "", "", "yes", "yes", "yes"]) * 2
    assert table.caption.startswith("All trials")


def test_each_setting_has_its_range_default_best_and_typical_value(done):
    table = tuned_settings(done.sweep, done.choices, BOTH)
    assert len(table.rows) == len(SPACE) * 2 - 1  # beta is hybrid's alone
    row = next(row for row in table.rows if row[1].text == "selection.picker.beta")
    best, typical = (done.choices["hybrid"].values[name] for name in ("best", "typical"))
    texts = [cell.text for cell in row]
    assert texts[:4] == ["Hybrid", "selection.picker.beta", "0.1 to 0.9", "0.5"]
    assert [float(text) for text in texts[4:]] == pytest.approx(
        [values["selection.picker.beta"] for values in (best, typical)], rel=1e-3
    )
    assert "24" in table.caption and r"\toprule" in latex(table)


def test_findings_say_what_fresh_seeds_show(done):
    gained = tuning_findings(done.outcome, done.terms)
    assert len(gained) == 2
    for name, text in zip(BOTH.values(), gained, strict=True):
        assert text.startswith(f"**{name}.** On fresh seeds, the settings of the best trial")
        rows = done.variants[done.variants["selector"] == name]
        rows = rows[rows["metric_type"] == "endpoint"]
        for row in rows.to_dict("records"):
            assert f"Holm p = {p_value(row['p_value_holm'])}, n = {row['n']}" in text
            said = "a gain" if row["reject_null"] else "so no gain was shown"
            assert said in text
        assert "optimistic, as the largest of 24 values" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gain": 0.0}, "so no gain was shown (the interval covers 0)"),
        ({"gain": 60.0, "seeds": 10}, "a gain"),
        ({"gain": -60.0, "seeds": 10}, "a loss"),
        ({"gain": 60.0}, "the interval leaves out 0, but the corrected test does not reject"),
        ({"default_is_best": True}, "The default itself was the best of 24 trials"),
    ],
)
def test_findings_do_not_claim_more_than_that(options, said):
    found = tuned({"random": "Random"}, settings=3, **options)
    (text,) = tuning_findings(found.outcome, found.terms)
    assert said in text


def test_a_default_that_was_best_is_not_compared_with_itself():
    found = tuned({"random": "Random"}, settings=2, default_is_best=True, trials=8)
    table = tuning(found.outcome, found.variants, found.sweep, found.terms)
    assert column(table, "Settings") == ["default", "best (= default)", "typical (= default)"]
    assert column(table, "n") == ["6", "–", "–"]


def test_names_are_as_short_as_tells_them_apart():
    assert list(short_names(SPACE).values())[:3] == [
        "agent.learning_rate",
        "hidden",
        "reward_model.learning_rate",
    ]
    assert short_names({"a.beta": 0, "a.other_beta": 0}) == {
        "a.beta": "beta",
        "a.other_beta": "other_beta",
    }


def test_values_have_a_place_in_what_was_searched():
    log = Dimension(low=1e-5, high=1e-1, log=True, whole=False)
    assert place(log, 1e-3) == pytest.approx(0.5) and place(log, 0) == -math.inf
    lists = Dimension(choices=([8, 8], [16, 16], [32, 32]))
    assert place(lists, "[16, 16]") == place(lists, [16, 16]) == 0.5
    assert math.isnan(place(lists, [1, 1]))
    assert place(Dimension(low=2, high=6, whole=True), 3) == 0.25
    assert searched(log) == "1e-5 to 0.1, by its logarithm"
    assert [shown(v) for v in (8e-05, 0.25498, 3, True, [8, 8], "tanh", None)] == [
        *("8e-5", "0.255", "3", "true", "[8, 8]", "tanh", "none"),
    ]


def test_the_best_so_far_leaves_out_what_was_stopped_early(done):
    own = done.trials[done.trials["selector"] == "hybrid"]
    best, seen = -np.inf, []
    for row in own.sort_values("trial").to_dict("records"):
        best = max(best, row["value"]) if row["complete"] else best
        seen.append(best)
    found = best_so_far(own).fillna(-np.inf)
    assert list(found) == seen and number(seen[-1], 3) == number(done.choices["hybrid"].value, 3)
