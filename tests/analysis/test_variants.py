"""What is compared within a variant, and variants with each other."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import EXPORTED

from active_rlhf.analysis.comparisons import comparisons
from active_rlhf.analysis.endpoints import endpoints
from active_rlhf.analysis.frames import FrameError
from active_rlhf.analysis.study import statistics, statistics_of_exports
from active_rlhf.analysis.variants import across, joined, within
from active_rlhf.analysis.wording import Terms, teacher_and_budget
from active_rlhf.figures.variants import heat_map, ranks_by_variant
from active_rlhf.tables.format import markdown
from active_rlhf.tables.variants import variants as table_of

SEEDS = range(1, 9)
VARIANTS = {
    "base": {"random": "random", "duo": "duo"},
    "few": {"random@few": "random", "duo@few": "duo"},
    "uniform": {"duo@uniform": "duo"},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Exports of two environments, and what the workflow says of them."""
    folder = tmp_path_factory.mktemp("exports")
    g = np.random.default_rng(0)
    exports, evaluations = {}, {}
    for env in ("A-v1", "B-v1"):
        rows = [
            (f"{env}__{method}__{seed}__1", seed, g.normal(len(method), 2), step)
            for own in VARIANTS.values()
            for method in own
            for seed in SEEDS
            for step in range(100, 2001, 100)
        ]
        columns = ["exp_name", "seed", "charts/episodic_return", "global_step"]
        exports[env] = folder / f"{env}.csv"
        frame = pd.DataFrame(rows, columns=columns)
        frame.to_csv(exports[env], index=False)
        names = {"charts/episodic_return": "return_mean", "global_step": "step"}
        frame = frame[frame["global_step"] == 2000].rename(columns=names).assign(episodes=10)
        evaluations[env] = folder / f"{env}.evaluations.csv"
        frame.to_csv(evaluations[env], index=False)
    return EXPORTED | {
        "methods": {"random": "Random", "duo": "DUO"},
        "exports": exports,
        "evaluations": evaluations,
        "total_steps": {"A-v1": 2000, "B-v1": 2000},
        "variants": VARIANTS,
    }


@pytest.fixture(scope="module")
def tables(study):
    return statistics_of_exports(study)


@pytest.mark.slow
def test_within_a_variant_everything_is_as_in_a_study_of_its_own(study, tables):
    for variant in ("few", "uniform"):
        own = VARIANTS[variant]
        alone = statistics_of_exports(
            study | {"variants": None, "methods": {m: study["methods"][own[m]] for m in own}}
        )
        for name, table in alone.items():
            part = within(tables[name], variant)
            pd.testing.assert_frame_equal(part, table, check_dtype=False, check_categorical=False)


@pytest.mark.slow
def test_what_is_excluded_is_missed_by_its_own_variant_alone(study, tmp_path):
    entry = {"env": "A-v1", "seed": 3, "reason": "bad"}
    excluded = [entry | {"method": "DUO"}, entry | {"method": "random@few"}]
    frame, fewer = pd.read_csv(study["exports"]["A-v1"]), tmp_path / "A.csv"
    names = [f"A-v1__{method}__3__1" for method in ("duo", "random@few")]
    frame[~frame["exp_name"].isin(names)].to_csv(fewer, index=False)
    changed = {"exclude": excluded, "exports": study["exports"] | {"A-v1": fewer}}
    summary = statistics_of_exports(study | changed)["summary"].query("metric_type == 'endpoint'")
    fewer = summary[summary["n"] == len(SEEDS) - 1]
    found = fewer[["env", "variant", "method"]].itertuples(index=False, name=None)
    assert set(found) == {("A-v1", "base", "DUO"), ("A-v1", "few", "Random")}


@pytest.mark.slow
def test_evaluations_are_those_of_the_variant(study, tables):
    values = tables["endpoints"]
    names = {method: key for key, method in study["methods"].items()}
    rows = values[values["metric_type"] == "evaluation"]
    assert len(rows) == 2 * 5 * len(SEEDS)
    for env, path in study["evaluations"].items():
        known = pd.read_csv(path).set_index("exp_name")["return_mean"]
        for row in rows[rows["env"] == env].itertuples():
            suffix = "" if row.variant == "base" else f"@{row.variant}"
            assert row.value == known[f"{env}__{names[row.method]}{suffix}__{row.seed}__1"]


def test_variants_are_compared_with_the_first_of_their_selector(tables):
    table = tables["variants"]
    final = table[table["metric_type"] == "endpoint"]
    rows = final[["selector", "env", "method_a", "method_b"]].itertuples(index=False, name=None)
    assert list(rows) == [
        *(("Random", env, "few", "base") for env in ("A-v1", "B-v1")),
        *(("DUO", env, v, "base") for env in ("A-v1", "B-v1") for v in ("few", "uniform")),
    ]
    values = tables["endpoints"].query("metric_type == 'endpoint' and env == 'B-v1'")
    few, base = (
        values[(values["variant"] == v) & (values["method"] == "DUO")]["value"].to_numpy()
        for v in ("few", "base")
    )
    row = final.query("selector == 'DUO' and env == 'B-v1' and method_a == 'few'").iloc[0]
    assert row["p_value"] == pytest.approx(stats.wilcoxon(few, base, method="exact").pvalue)
    assert row["delta_mean"] == pytest.approx(np.mean(few - base))
    # Holm corrects the two variants of DUO together, and Random's one alone.
    of_duo = final.query("selector == 'DUO' and env == 'B-v1'")
    smaller = of_duo["p_value"].min()
    assert of_duo["p_value_holm"].min() == pytest.approx(min(1, 2 * smaller))
    alone = final.query("selector == 'Random'")
    assert alone["p_value_holm"].tolist() == alone["p_value"].tolist()


def values(**of):
    rows = [
        ("E", method, seed, "endpoint", float(value))
        for method, numbers in of.items()
        for seed, value in enumerate(numbers)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=["env", "method", "seed", "metric_type", "value"])


def test_against_one_method_there_are_fewer_tests_and_the_same_measures():
    g = np.random.default_rng(1)
    given = values(a=g.normal(0, 1, 10), b=g.normal(1, 1, 10), c=g.normal(0, 1, 10))
    every, against = comparisons(given), comparisons(given, against="b")
    pairs = list(zip(against["method_a"], against["method_b"], strict=True))
    assert pairs == [("a", "b"), ("c", "b")]
    same = every[(every["method_a"] == "a") & (every["method_b"] == "b")].iloc[0]
    assert same["p_value"] == against["p_value"][0]
    assert against["p_value_holm"][0] <= same["p_value_holm"]
    assert against["power"][0] > same["power"]


def test_unpaired_measures_take_all_runs_of_both():
    given = values(a=[1, 2, 3, 4, 9, 9], b=[0, 2, 5, 1, None, None])
    row = comparisons(given).iloc[0]
    a, b = np.array([1, 2, 3, 4, 9, 9]), np.array([0, 2, 5, 1])
    wins = np.mean([(x > y) + (x == y) / 2 for x in a for y in b])
    assert (row["n"], row["n_a"], row["n_b"]) == (4, 6, 4)
    assert row["prob_improvement"] == pytest.approx(wins)
    expected = stats.mannwhitneyu(a, b, method="asymptotic").pvalue
    assert row["p_mannwhitney"] == pytest.approx(expected)
    assert row["r_seed"] == pytest.approx(stats.pearsonr(a[:4], b).statistic)


def test_a_reference_that_is_not_there_is_named():
    runs = values(a=[1, 2], b=[3, 4]).rename(columns={"value": "return"}).assign(step=1)
    with pytest.raises(FrameError, match="no method 'c'; there are a, b"):
        statistics(runs, against="c", resamples=100)


def test_one_variant_without_a_partner_is_compared_with_nothing():
    alone = joined({"only": {"endpoints": endpoints(_runs())}})
    assert across(alone["endpoints"], resamples=100).empty


def _runs():
    rows = [("E", "a", seed, step, 1.0 * seed) for seed in (1, 2) for step in (1, 2)]
    return pd.DataFrame(rows, columns=["env", "method", "seed", "step", "return"])


# --- as tables and figures show them -------------------------------------------------------------


def test_the_table_has_every_selector_under_every_variant(study, tables):
    terms = Terms.of(study)
    shown = markdown(table_of(tables["variants"], tables["summary"], terms, "A-v1"))
    rows = [line.split(" | ") for line in shown.splitlines() if line.startswith(("| R", "| D"))]
    assert [(row[0].strip("| "), row[1]) for row in rows] == [
        *(("Random", v) for v in ("base", "few")),
        *(("DUO", v) for v in ("base", "few", "uniform")),
    ]
    assert rows[0][4] == "–" and rows[4][4].startswith("**")


def test_the_map_holds_the_means_and_marks_what_was_rejected(study, tables):
    terms = Terms.of(study)
    axes = heat_map(tables["summary"], tables["variants"], terms).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts[:3] == ["5.9", "2.8", "10.1 *"] and "–" in texts
    mean = tables["summary"].query("env == 'A-v1' and metric_type == 'endpoint'")["mean"].iloc[0]
    assert axes.images[0].get_array()[0, 0] == mean


def test_ranks_are_those_of_scipy(study, tables):
    terms = Terms.of(study)
    axes = ranks_by_variant(tables["endpoints"], terms).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["base", "few"]
    values = tables["endpoints"].query("env == 'A-v1' and metric_type == 'endpoint'")
    wide = values[values["variant"] == "few"].pivot(index="seed", columns="method", values="value")
    expected = stats.rankdata(-wide[["Random", "DUO"]].to_numpy(), axis=1).mean(axis=0)
    assert [line.get_ydata()[1] for line in axes.lines] == pytest.approx(expected)


def test_captions_name_the_variant_with_its_teacher(study):
    asked = {"base": {"A-v1": ["oracle", 100]}, "few": {"A-v1": ["oracle", 50]}}
    terms = Terms.of(study | {"asked": asked}, "few")
    expected = "Variant: few. Teacher: oracle; label budget: 50 per run."
    assert teacher_and_budget(terms) == expected
