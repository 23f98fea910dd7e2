"""Endpoints of the reward model and what limits the return, against plain loops and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import EXPORTED

from active_rlhf.analysis.budgets import labels_needed
from active_rlhf.analysis.comparisons import STUDY_REWARD, compare
from active_rlhf.analysis.findings import findings
from active_rlhf.analysis.limits import LABELS, OTHER, UNCLEAR, rank_correlation, verdict
from active_rlhf.analysis.reward import reward_endpoints
from active_rlhf.analysis.study import Baselines, statistics, statistics_of_exports
from active_rlhf.analysis.wording import Terms
from active_rlhf.figures.rankings import improvement_matrix
from active_rlhf.figures.variants import ranks_by_variant
from active_rlhf.study.measures import REWARD_MODEL, both_forms
from active_rlhf.tables.reward import limits as table_of_limits
from active_rlhf.tables.reward import reward_model
from active_rlhf.tables.significance import significance

METHODS = ("Random", "DUO", "Hybrid")
LABELS_ASKED = np.array([10, 15, 30, 50])


def episodes(of):
    """method -> return of each seed's run, as runs of one environment with ten equal episodes."""
    rows = [
        ("E-v1", method, seed, step, value)
        for method, values in of.items()
        for seed, value in enumerate(values)
        for step in range(100, 1100, 100)
    ]
    frame = pd.DataFrame(rows, columns=["env", "method", "seed", "step", "return"])
    return frame.astype({"method": pd.CategoricalDtype(list(of), ordered=True)})


def sessions_of(quality):
    """method -> final correlation of each seed's reward model; errors are one less that."""
    rows = []
    for method, values in quality.items():
        for seed, value in enumerate(values):
            for session, labels in enumerate(LABELS_ASKED):
                good = value * (session + 1) / len(LABELS_ASKED)
                measures = {
                    column: 1 - good if name in ("reward_loss", "reward_calibration") else good
                    for name, column in REWARD_MODEL.items()
                }
                keys = {"env": "E-v1", "method": method, "seed": seed, "session": session}
                rows.append(keys | {"labels": labels} | measures)
    return pd.DataFrame(rows)


def made(quality, returns, true, low=0.0):
    """Statistics of one environment, from qualities, returns, and those on the true reward."""
    ends = episodes({"low": np.full(len(true), low), "true": true})
    return statistics(
        episodes(returns),
        sessions=sessions_of(quality),
        baselines=Baselines("low", "true", ends),
        resamples=300,
    )


@pytest.fixture(scope="module")
def ordered():
    """Ten seeds in which the better reward model always has the higher return; Hybrid's is best."""
    g = np.random.default_rng(3)
    quality = {m: 0.3 * k + g.uniform(0.1, 0.35, 10) for k, m in enumerate(METHODS)}
    returns = {m: 1000 * values**3 for m, values in quality.items()}
    return made(quality, returns, g.uniform(1000, 1100, 10)), quality, returns


def test_values_are_the_last_ones_and_areas_over_labels():
    g = np.random.default_rng(0)
    sessions = sessions_of({m: g.uniform(0, 1, 3) for m in METHODS})
    sessions[list(REWARD_MODEL.values())] += g.normal(0, 0.1, (len(sessions), 4))
    found = reward_endpoints(sessions.sample(frac=1, random_state=0), list(REWARD_MODEL))
    assert list(found["metric_type"].unique()) == both_forms(REWARD_MODEL)
    found = found.set_index(["method", "seed", "metric_type"])["value"]
    for (method, seed), run in sessions.groupby(["method", "seed"]):
        for name, column in REWARD_MODEL.items():
            y, x = run[column].tolist(), run["labels"].tolist()
            area = sum((y[i] + y[i + 1]) / 2 * (x[i + 1] - x[i]) for i in range(3))
            assert found[method, seed, name] == y[-1]
            assert found[method, seed, f"{name}_auc"] == pytest.approx(area / 40)


def test_undefined_measures_are_left_out_and_one_session_is_its_own_mean():
    sessions = sessions_of({"Random": [0.5, 0.7]}).query("seed == 0 or session == 0")
    sessions.loc[(sessions["seed"] == 0) & (sessions["session"] == 1), "probe_loss"] = np.nan
    rows = reward_endpoints(sessions, ["reward_loss"])
    found = {(row.seed, row.metric_type): row.value for row in rows.itertuples()}
    assert found.keys() == {(0, "reward_loss"), (1, "reward_loss"), (1, "reward_loss_auc")}
    assert found[1, "reward_loss_auc"] == found[1, "reward_loss"] == pytest.approx(1 - 0.7 / 4)


@pytest.mark.parametrize("name", both_forms(REWARD_MODEL))
def test_the_better_reward_model_is_better_in_every_statistic(ordered, name):
    tables, _, _ = ordered
    error = name.startswith(("reward_loss", "reward_calibration"))
    values = tables["endpoints"].query("metric_type == @name")
    wide = values.pivot(index="seed", columns="method", values="value")[list(METHODS)]
    for row in tables["comparisons"].query("metric_type == @name").to_dict("records"):
        a, b = wide[row["method_a"]], wide[row["method_b"]]
        test = stats.wilcoxon(a, b, method="exact")
        assert row["p_value"] == pytest.approx(test.pvalue)
        assert row["delta_mean"] == pytest.approx((a - b).mean())
        better = np.subtract.outer(b.to_numpy(), a.to_numpy()).ravel() * (1 if error else -1) > 0
        assert row["prob_improvement"] == pytest.approx(better.mean())
        assert row["rank_biserial"] == -1.0  # the second of a pair is always the better one here
        assert row["metric"] == REWARD_MODEL[name.removesuffix("_auc")]
    ranks = tables["ranks"].query("metric_type == @name").set_index("method")["mean_rank"]
    expected = stats.rankdata(wide if error else -wide, axis=1).mean(axis=0)
    assert ranks[list(METHODS)].tolist() == pytest.approx(expected.tolist())
    beats = tables["improvement"].query("metric_type == @name and method_a == 'Hybrid'")
    assert (beats["value"] > 0.9).all() and (beats["ci_low"] > 0.5).all()


def test_the_whole_study_is_one_family_of_returns_and_one_of_reward_models():
    quality = {m: np.linspace(0.2, 0.8, 6) for m in METHODS}
    tables = statistics(
        episodes(quality), sessions=sessions_of(quality), family="study", resamples=100
    )
    sizes = tables["comparisons"]["family"].value_counts()
    assert sizes.to_dict() == {"study": 3 * 2, STUDY_REWARD: 3 * 8}


def test_tables_figures_and_sentences_name_the_better_one(ordered):
    tables, terms = ordered[0], Terms(methods=METHODS)
    made_of = reward_model(tables["summary"], terms, "E-v1")
    bold = {tuple(c.text for c in row[:2]) for row in made_of.rows if row[3].bold and row[5].bold}
    assert bold == {(row[0].text, "Hybrid") for row in made_of.rows} and len(bold) == 4
    tests = significance(tables["comparisons"], terms, "E-v1", "reward_loss")
    assert tests.columns[-1] == "P(a < b)" and "smaller is better" in tests.caption
    matrix = improvement_matrix(
        tables["improvement"], tables["summary"], terms, metric_type="reward_loss"
    )
    assert "smaller reward-model loss" in matrix.texts[0].get_text().replace("\n", " ")
    page = findings(tables["comparisons"], tables["summary"], terms, limits=tables["limits"])
    line = next(line for line in page.splitlines() if line.startswith("- Reward-model loss ("))
    assert line.index("Hybrid") < line.index("DUO") < line.index("Random")
    row = tables["comparisons"].query("metric_type == 'reward_loss' and method_b == 'Hybrid'")
    effect = f"Hybrid is better than Random by {row['hodges_lehmann'].iloc[0]:.3f} [95% HL "
    assert effect in line and "No difference" not in line
    variant = tables["endpoints"].assign(variant="v")
    axes = ranks_by_variant(variant, terms, "reward_loss").axes[0]
    assert [round(line.get_ydata()[0], 6) for line in axes.lines] == [3, 2, 1]


def test_labels_needed_for_an_error_are_where_it_falls_to_the_level():
    labels = {"b25": {"E": 25}, "b100": {"E": 100}}
    rows = [
        (variant, "E", "random", seed, "reward_loss", value)
        for variant, value in (("b25", 0.7), ("b100", 0.3))
        for seed in (0, 1)
    ]
    frame = pd.DataFrame(rows, columns=["variant", "env", "method", "seed", "metric_type", "value"])
    table = labels_needed(frame, labels, resamples=100).set_index("share")
    assert table.loc[0.5, "threshold"] == pytest.approx(0.5)
    assert table.loc[0.5, "labels"] == pytest.approx(50)  # half the way, on a logarithmic scale


# --- what limits the return ----------------------------------------------------------------------


def test_where_reward_quality_orders_the_returns_labels_limit_them(ordered):
    tables, quality, returns = ordered
    rows = tables["limits"].query("metric_type == 'endpoint'").set_index("method")
    assert rows.index.tolist() == list(METHODS) and (rows["verdict"] == LABELS).all()
    pooled = [np.concatenate([of[m] for m in METHODS]) for of in (quality, returns)]
    assert rows["spearman"].iloc[0] == pytest.approx(stats.spearmanr(*pooled).statistic) == 1
    g = np.random.default_rng(3)
    [g.uniform(0.1, 0.35, 10) for _ in METHODS]
    true = g.uniform(1000, 1100, 10)
    for method, row in rows.iterrows():
        known = compare(true, returns[method], resamples=100)
        assert row[["gap", "ci_gap_low", "ci_gap_high"]].tolist() == pytest.approx(
            [known[key] for key in ("hodges_lehmann", "ci_hl_low", "ci_hl_high")]
        )
        assert row["mean"] == pytest.approx(returns[method].mean())
        assert row["mean_true"] == row["learned"] == pytest.approx(true.mean())
    page = findings(tables["comparisons"], tables["summary"], Terms(), limits=tables["limits"])
    assert "Labels limit the return here" in page
    shown = table_of_limits(tables["limits"], Terms(), "E-v1")
    assert [row[1].text for row in shown.rows] == ["(true reward)", *METHODS]
    assert "is 1.00 [1.00, 1.00]; labels limit the return." in shown.notes[0]


@pytest.mark.parametrize(
    ("seeds", "spread", "found", "said"),
    [
        (10, 100, OTHER, "Labels are not the bottleneck here"),
        (10, 900, UNCLEAR, "unclear here: neither was shown, but up to"),
        (5, 100, UNCLEAR, "unclear here: there are too few seeds (n = 5)"),
    ],
)
def test_where_reward_quality_does_not_matter(seeds, spread, found, said):
    g = np.random.default_rng(1)
    quality = {m: g.uniform(0.99, 0.999, seeds) for m in METHODS}
    returns = {m: g.normal(1000, spread, seeds) for m in METHODS}
    tables = made(quality, returns, g.normal(1000, spread, seeds))
    assert set(tables["limits"]["verdict"]) == {found}
    page = findings(tables["comparisons"], tables["summary"], Terms(), limits=tables["limits"])
    assert said in page


@pytest.mark.parametrize(
    ("n", "gaps", "correlation", "learned", "expected"),
    [
        (10, [(1, 9), (-1, 2)], (0.1, 0.9), 100, LABELS),
        (10, [(-1, 9), (-1, 2)], (0.1, 0.9), 100, UNCLEAR),
        (10, [(1, 9), (-1, 2)], (-0.1, 0.9), 100, UNCLEAR),
        (10, [(-1, 9), (-5, -2)], (-0.1, 0.9), 100, OTHER),
        (10, [(-1, 9), (-5, -2)], (-0.9, -0.1), 100, OTHER),
        (10, [(-1, 9), (-1, 2)], (-0.1, 0.9), 18, UNCLEAR),
        (10, [(-1, 9), (-1, 2)], (np.nan, np.nan), 100, UNCLEAR),
        (5, [(1, 9), (-1, 2)], (0.1, 0.9), 100, UNCLEAR),
    ],
)
def test_the_verdict_follows_the_documented_rule(n, gaps, correlation, learned, expected):
    assert verdict(n, gaps, correlation, learned) == expected


def test_the_interval_of_a_correlation_is_that_of_whole_seeds_drawn_again():
    g = np.random.default_rng(2)
    seeds = np.repeat(np.arange(8), 3)[:-1]  # a run is missing
    a = g.integers(0, 6, len(seeds)).astype(float)  # with ties
    b = a + g.normal(0, 3, len(seeds))
    rho, low, high = rank_correlation(a, b, seeds, resamples=400)
    assert rho == pytest.approx(stats.spearmanr(a, b).statistic)
    counts = np.random.default_rng(0).multinomial(8, np.full(8, 1 / 8), size=400)
    drawn = [
        stats.spearmanr(*(np.repeat(values, count[seeds]) for values in (a, b))).statistic
        for count in counts
    ]
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    assert np.isnan(rank_correlation(np.ones(3), b[:3], seeds[:3])).all()


def test_without_sessions_or_baselines_there_is_nothing_to_say():
    returns = {m: np.arange(6.0) for m in METHODS}
    tables = statistics(episodes(returns), resamples=100)
    assert set(tables["summary"]["metric_type"]) == {"endpoint", "auc"}
    assert tables["quality"].empty and tables["limits"].empty
    measured = statistics(
        episodes(returns), sessions=sessions_of(returns), measures=["reward_loss"], resamples=100
    )
    names = {"endpoint", "auc", "reward_loss", "reward_loss_auc"}
    assert set(measured["summary"]["metric_type"]) == names
    assert measured["limits"].empty and len(measured["quality"]) == 18


def test_exports_are_read_within_variants_without_baselines_and_excluded_runs(tmp_path):
    """A baseline among the selectors has returns, but no reward model."""
    quality = {m: np.linspace(0.2, 0.8, 4) for m in ("a", "a@few", "true_reward")}
    returns, sessions = episodes(quality), sessions_of(quality)
    returns["exp_name"], sessions["exp_name"] = (
        [f"E-v1__{row.method}__{row.seed}__1" for row in frame.itertuples()]
        for frame in (returns, sessions)
    )
    names = {"return": "charts/episodic_return", "step": "global_step"}
    returns.rename(columns=names).to_csv(tmp_path / "E.csv", index=False)
    sessions = sessions[sessions["method"] != "true_reward"]
    gaps = {"train_accuracy": np.nan, "validation_accuracy": np.nan}
    sessions.assign(**gaps).to_csv(tmp_path / "E.sessions.csv", index=False)
    study = {
        "methods": {"a": "A", "true_reward": "True"},
        "exclude": [{"env": "E-v1", "method": "a@few", "seed": 2, "reason": "bad"}],
        "statistics": EXPORTED["statistics"] | {"reward_endpoints": ["reward_accuracy"]},
        "exports": {"E-v1": tmp_path / "E.csv"},
        "sessions": {"E-v1": tmp_path / "E.sessions.csv"},
        "total_steps": {"E-v1": 1000},
        "variants": {"base": {"a": "a", "true_reward": "true_reward"}, "few": {"a@few": "a"}},
    }
    tables = statistics_of_exports(EXPORTED | study)
    found = tables["endpoints"].query("metric_type == 'reward_accuracy'")
    keys = found[["variant", "method", "seed"]].itertuples(index=False, name=None)
    seeds = [("base", s) for s in range(4)] + [("few", s) for s in (0, 1, 3)]
    assert list(keys) == [(variant, "A", seed) for variant, seed in seeds]
    assert set(tables["variants"]["metric_type"]) >= {"reward_accuracy", "reward_accuracy_auc"}
