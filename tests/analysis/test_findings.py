"""Findings: every rejection is a sentence, nothing else is, and every number is the table's."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from synthetic import NASTY, names, study

from active_rlhf.analysis.findings import findings, welch_interval
from active_rlhf.analysis.wording import Terms, teacher_and_budget

ENVS = ["Hopper-v5", "Ant-v5"]
EFFECT = (
    r"(?P<hl>−?[\d.]+) \[95% HL (?P<low>\S+), (?P<high>\S+)\], Holm p (?P<p>= [\d.]+|<0.001), "
    r"dz = (?P<dz>−?[\d.]+), n = (?P<n>\d+)"
)
EXCEEDS = re.compile(
    r"^- On (?P<env>\S+), (?P<a>.+) exceeds (?P<b>.+) in (?P<metric>.+) by " + EFFECT
)
NOT_SHOWN = re.compile(r"^- (?P<a>.+) and (?P<b>.+): " + EFFECT)


def page(methods, n, effect, **terms):
    frames, chosen = study(methods, ENVS, n, effect, **terms)
    pairs, summary = frames["comparisons"], frames["summary"]
    return findings(pairs, summary, chosen), pairs, summary, chosen


def value(text):
    return float(text.replace("−", "-").replace("∞", "inf"))


@pytest.mark.parametrize("effect", [0.0, 0.2, -0.2])
def test_sentences_are_the_comparisons(effect):
    text, pairs, _, _ = page(names(4), 10, effect)
    lines = text.splitlines()
    said = [match for line in lines if (match := EXCEEDS.match(line))]
    unsaid = [match for line in lines if (match := NOT_SHOWN.match(line))]
    assert len(said) == pairs["reject_null"].sum()
    assert len(said) + len(unsaid) == len(pairs)
    assert (0 < len(said) < len(pairs)) if effect else not said
    assert text.count("exceeds") == len(said) and "may still exist" in text

    metric = {"final return": "endpoint", "area under the curve": "auc"}
    for match in said:
        row = pairs[
            (pairs["env"] == match["env"])
            & (pairs["metric_type"] == metric[match["metric"]])
            & pairs["method_a"].isin([match["a"], match["b"]])
            & pairs["method_b"].isin([match["a"], match["b"]])
        ].squeeze()
        sign = 1 if row["method_a"] == match["a"] else -1
        assert row["reject_null"]
        ends = sorted(sign * row[["ci_hl_low", "ci_hl_high"]].astype(float))
        shown = [value(match[key]) for key in ("hl", "low", "high", "dz")]
        expected = [sign * row["hodges_lehmann"], *ends, sign * row["dz"]]
        for got, want in zip(shown, expected, strict=True):
            assert got == pytest.approx(want, rel=0.01, abs=0.05)
        assert shown[0] > 0 and shown[1] > 0  # 'exceeds', and the interval agrees
        assert int(match["n"]) == 10
        if match["p"].startswith("="):
            assert float(match["p"][2:]) == pytest.approx(row["p_value_holm"], abs=5e-4)


@pytest.mark.parametrize("opposed", [True, False])
def test_a_sentence_says_where_final_and_evaluation_order_methods_differently(opposed):
    frames, terms = study(names(2), ENVS, 6, 1.0)
    summary = frames["summary"]
    more = summary[summary["metric_type"] == "endpoint"].assign(metric_type="evaluation")
    turned = (more["env"] == ENVS[1]) & opposed
    more["mean"] = np.where(turned, -more["mean"], more["mean"])
    text = findings(frames["comparisons"], pd.concat([summary, more], ignore_index=True), terms)
    said = [line for line in text.splitlines() if "order the means" in line]
    a, b = names(2)
    sentence = (
        f"On {ENVS[1]} the two returns order the means of the methods differently: {b}, {a} by "
        f"final return, but {a}, {b} by evaluation return."
    )
    assert said == ([sentence] if opposed else [])


def test_a_family_that_can_reject_nothing_and_exclusions_are_stated():
    run = {"env": "Ant-v5", "method": "DUO", "seed": 2, "reason": "stopped_at 671k steps"}
    text, _, _, _ = page(names(4), 5, 1.0, excluded=(run,))
    assert "nothing can be rejected at 0.05" in text
    assert "exceeds" not in text
    assert r"Left out: DUO seed 2 on Ant-v5 (stopped\_at 671k steps)." in text
    assert "Power at" in page(names(4), 10, 0.0)[0]


def test_names_are_escaped():
    text, _, _, _ = page(NASTY, 3, 0.0)
    assert r"50%\_a & b#1 \$x\$ \~^\\{}" in text


def test_one_method_is_not_compared():
    text, _, summary, _ = page(names(1), 3, 0.0)
    assert "nothing is tested" in text
    mean = summary.query("env == 'Ant-v5' and metric_type == 'endpoint'")["mean"].iloc[0]
    assert f"Random {mean:.0f} ± " in text


def test_published_runs_show_no_difference(published):
    """On Walker2d the thesis found none either."""
    from active_rlhf.analysis.study import statistics
    from active_rlhf.results.export import read_runs

    methods = {"prefppo_random_v2": "Random", "prefppo_duo_prio": "DUO"}
    runs = read_runs({"Walker2d-v5": published / "runs_walker_400.csv"}, methods)
    frames = statistics(runs, resamples=100)
    values = {
        "Walker2d-v5": {
            "DUO": {"mean": 1730, "sd": 483, "n": 10},
            "Random": {"mean": 3600, "sd": 641, "n": 10},
            "Hybrid": {"mean": 1387, "sd": 435, "n": 10},
        },
        "Ant-v5": {"DUO": {"mean": -512, "sd": 220, "n": 10}},
    }
    terms = Terms(methods=("Random", "DUO"))
    text = findings(frames["comparisons"], frames["summary"], terms, values)
    assert "exceeds" not in text
    assert text.count("## Against published values") == 1
    paragraph = text.rpartition("## Against published values\n\n")[2]
    assert "\n\n" not in paragraph
    assert (
        "DUO on Walker2d-v5: 1730 ± 483 (n = 10) here, 1730 ± 483 (n = 10) published, difference 0 "
        "[−454, 454]" in paragraph
    )
    assert "excludes zero in 1 of 2" in paragraph
    assert "not in this study: Hybrid on Walker2d-v5 and DUO on Ant-v5" in paragraph


samples = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12)


@given(samples, samples)
def test_welch_interval_against_scipy(a, b):
    ours, theirs = (
        {"mean": np.mean(x), "sd": np.std(x, ddof=1), "n": len(x)} for x in map(np.array, (a, b))
    )
    if max(ours["sd"], theirs["sd"]) < 1e-3:
        return
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    np.testing.assert_allclose(welch_interval(ours, theirs, 0.9), expected, rtol=1e-6, atol=1e-6)


def test_welch_interval_needs_two_values_and_spread():
    one, flat = {"mean": 1.0, "sd": np.nan, "n": 1}, {"mean": 1.0, "sd": 0.0, "n": 3}
    some = {"mean": 1.0, "sd": 1.0, "n": 3}
    for pair in ((one, some), (some, one), (flat, flat)):
        assert np.isnan(welch_interval(*pair, 0.95)).all()


def test_what_was_asked_is_stated_once_where_it_is_the_same():
    asked = {"A": ("oracle", 500), "B": ("oracle", 500), "C": ("bpref (beta 1.0)", 1000)}
    terms = Terms.of({"asked": {env: list(pair) for env, pair in asked.items()}})
    assert teacher_and_budget(terms, "A", "B") == "Teacher: oracle; label budget: 500 per run."
    assert teacher_and_budget(terms) == (
        "Teacher and label budget per run: oracle, 500 on A and B; bpref (beta 1.0), 1,000 on C."
    )
    assert teacher_and_budget(Terms()) == ""
    text, *_ = page(names(2), 3, 0.0)
    assert text.count("Teacher: oracle; label budget: 500 per run.") == 1


def test_terms_of_a_study():
    study = {
        "methods": {"random": "Random", "random_v2": "Random", "duo": "DUO"},
        "exclude": [{"env": "E", "method": "duo", "seed": 1, "reason": "r"}],
        "statistics": {"endpoint": "best", "family": "study", "alpha": 0.01, "bootstrap": 100},
        "figures": {"interval": "sd"},
    }
    terms = Terms.of(study)
    assert terms.methods == ("Random", "DUO")
    assert terms.excluded[0]["method"] == "DUO"
    chosen = terms.endpoint, terms.family, terms.alpha, terms.interval
    assert chosen == ("best", "study", 0.01, "sd")
    assert terms.level == "99%"
    assert terms.metric("endpoint") == "best return" and terms.metric("auc") != "best return"
    assert Terms.of({"methods": None, "exclude": None}) == Terms()
