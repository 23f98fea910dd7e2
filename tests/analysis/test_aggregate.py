"""Against rliable's metrics (scores as runs x environments) and plain loops.

Only `rliable.metrics` is used: its bootstrap needs a release of arch that pandas 3 broke.
"""

import numpy as np
import pandas as pd
import pytest
from rliable import metrics
from scipy import stats

from active_rlhf.analysis.aggregate import (
    STATISTICS,
    THRESHOLDS,
    aggregates,
    efficiency,
    improvements,
    iqm,
    profile,
    profiles,
    resampled,
    resampled_ends,
    scales,
)
from active_rlhf.analysis.endpoints import endpoints

BASELINES = {"A": (-100.0, 900.0), "B": (0.0, 1000.0)}
FIXED = {env: (np.array([low]), np.array([high])) for env, (low, high) in BASELINES.items()}
SCALES = {"endpoint": FIXED, "auc": FIXED}
RLIABLE = {
    "iqm": metrics.aggregate_iqm,
    "median": metrics.aggregate_median,
    "mean": metrics.aggregate_mean,
    "optimality_gap": metrics.aggregate_optimality_gap,
}


@pytest.fixture
def values(make_runs):
    return endpoints(make_runs(seeds=7))


def matrix(values: pd.DataFrame, method: str, metric_type: str = "endpoint") -> np.ndarray:
    """Normalised scores [runs, environments], as rliable wants them."""
    chosen = values[(values["method"] == method) & (values["metric_type"] == metric_type)]
    wide = chosen.pivot(index="seed", columns="env", values="value")
    return np.stack(
        [(wide[e] - low) / (high - low) for e, (low, high) in BASELINES.items()], axis=1
    )


def as_lists(scores: np.ndarray) -> list[np.ndarray]:
    return list(scores.T)


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_are_rliables(values, name):
    scores = matrix(values, "Hybrid")
    counts = resampled(as_lists(scores), 50, np.random.default_rng(0))
    found = STATISTICS[name](as_lists(scores), counts)
    for b in range(51):
        drawn = [np.repeat(s, c[b].astype(int)) for s, c in zip(scores.T, counts, strict=True)]
        assert found[b] == pytest.approx(RLIABLE[name](np.stack(drawn, axis=1)))
    assert found[0] == pytest.approx(RLIABLE[name](scores))


def test_interquartile_mean_of_unequal_numbers_of_runs():
    scores = [np.array([5.0, 1.0, 1.0]), np.array([2.0, 9.0, 3.0, 4.0, -8.0, 0.5])]
    expected = stats.trim_mean(np.concatenate(scores), 0.25)
    assert iqm(scores, [np.ones((1, 3)), np.ones((1, 6))]) == pytest.approx(expected)


def bootstrap_by_loops(function, *scores: np.ndarray, reps: int = 2000) -> np.ndarray:
    """95% percentile interval of function(scores...), runs drawn anew in every environment."""
    rng = np.random.default_rng(11)
    draws = []
    for _ in range(reps):
        picks = [rng.integers(len(x), size=x.shape) for x in scores]
        draws.append(
            function(*(np.take_along_axis(x, i, 0) for x, i in zip(scores, picks, strict=True)))
        )
    return np.quantile(draws, [0.025, 0.975], axis=0)


def test_aggregates_and_intervals_are_rliables(values):
    table = aggregates(values, SCALES, resamples=4000)
    table = table[table["metric_type"] == "endpoint"].set_index(["method", "statistic"])
    scores = matrix(values, "Hybrid")
    intervals = bootstrap_by_loops(lambda x: [RLIABLE[name](x) for name in STATISTICS], scores)
    for name, ends in zip(STATISTICS, intervals.T, strict=True):
        row = table.loc[("Hybrid", name)]
        assert row["value"] == pytest.approx(RLIABLE[name](scores))
        assert [row["ci_low"], row["ci_high"]] == pytest.approx(list(ends), abs=0.1 * np.ptp(ends))
    assert set(table["environments"]) == {"A, B"} and set(table["runs"]) == {14}


def test_profiles_are_shares_of_runs_above(values):
    table = profiles(values, SCALES, resamples=200)
    one = table[(table["method"] == "DUO") & (table["metric_type"] == "auc")]
    scores = matrix(values, "DUO", "auc")
    expected = [np.mean(scores > threshold) for threshold in THRESHOLDS]
    assert one["fraction"].to_numpy() == pytest.approx(expected)
    assert (one["ci_low"] <= one["fraction"]).all() and (one["fraction"] <= one["ci_high"]).all()
    ones = [np.ones((1, 7))] * 2
    assert profile(as_lists(scores), ones, np.array([-9.0, 9.0]))[0].tolist() == [1, 0]


def test_improvement_is_rliables(values):
    table = improvements(values, resamples=4000)
    table = table[table["metric_type"] == "endpoint"].set_index(["env", "method_a", "method_b"])
    x, y = matrix(values, "Random"), matrix(values, "Hybrid")
    row = table.loc[("all", "Random", "Hybrid")]
    assert row["value"] == pytest.approx(metrics.probability_of_improvement(x, y))
    low, high = bootstrap_by_loops(metrics.probability_of_improvement, x, y, reps=1000)
    assert [row["ci_low"], row["ci_high"]] == pytest.approx([low, high], abs=0.04)

    alone = table.loc[("B", "Random", "Hybrid")]["value"]
    assert alone == pytest.approx(np.mean(np.greater.outer(x[:, 1], y[:, 1])))
    back = table.loc[("all", "Hybrid", "Random")]
    assert back["value"] == pytest.approx(1 - row["value"])
    assert back["ci_low"] == pytest.approx(1 - row["ci_high"])


def test_equal_values_count_half():
    same = pd.DataFrame(
        [("A", m, s, "endpoint", 1.0) for m in "xy" for s in range(3)],
        columns=["env", "method", "seed", "metric_type", "value"],
    )
    assert set(improvements(same, resamples=10)["value"]) == {0.5}


def test_improvement_where_an_environment_lacks_a_method(values):
    part = values[(values["env"] == "A") | (values["method"] != "DUO")]
    table = improvements(part, resamples=20).set_index(["metric_type", "env", "method_a"])
    alone = table.loc[("auc", "A", "DUO")].set_index("method_b")
    pooled = table.loc[("auc", "all", "DUO")].set_index("method_b")
    pd.testing.assert_frame_equal(alone, pooled)


def test_each_endpoint_is_normalised_by_the_baselines_of_that_endpoint(make_runs):
    runs = make_runs(seeds=7)
    table = aggregates(endpoints(runs), scales(endpoints(runs), "Random", "Hybrid"), resamples=50)
    means = table[table["statistic"] == "mean"].set_index(["metric_type", "method"])["value"]
    for metric_type in ("endpoint", "auc"):
        assert means[metric_type, "Random"] == pytest.approx(0)
        assert means[metric_type, "Hybrid"] == pytest.approx(1)


def test_both_baselines_are_resampled(values):
    """Against a loop that draws methods and baselines anew, with baselines that vary much."""
    rng = np.random.default_rng(3)
    raw = values[(values["method"] == "DUO") & (values["metric_type"] == "endpoint")]
    runs = [group["value"].to_numpy() for _, group in raw.groupby("env")]
    low, high = rng.normal(0, 60, (2, 5)), rng.normal(900, 150, (2, 6))
    found = aggregates(
        raw, {"endpoint": dict(zip("AB", zip(low, high, strict=True), strict=True))}, resamples=4000
    )

    def loop(*drawn):
        ends = [(drawn[e].mean(), drawn[2 + e].mean()) for e in range(2)]
        scores = [(drawn[4 + e] - a) / (b - a) for e, (a, b) in enumerate(ends)]
        return stats.trim_mean(np.concatenate(scores), 0.25)

    ends = bootstrap_by_loops(loop, *low, *high, *runs)
    row = found[found["statistic"] == "iqm"].iloc[0]
    assert [row["ci_low"], row["ci_high"]] == pytest.approx(list(ends), abs=0.1 * np.ptp(ends))
    fixed = {
        env: (np.array([a.mean()]), np.array([b.mean()]))
        for env, a, b in zip("AB", low, high, strict=True)
    }
    narrow = (
        aggregates(raw, {"endpoint": fixed}, resamples=4000).query("statistic == 'iqm'").iloc[0]
    )
    assert narrow["value"] == pytest.approx(row["value"])
    width = row["ci_high"] - row["ci_low"]
    assert width > 1.1 * (narrow["ci_high"] - narrow["ci_low"])


def test_without_a_usable_scale_there_is_no_aggregate(make_runs, values):
    apart, alike = np.array([8.0, 9.0]), np.array([0.0, 9.5])
    assert set(resampled_ends({"A": (np.zeros(2), apart), "B": (alike, apart)}, 100)) == {"A"}
    for scale in ({}, {"A": (apart, apart), "B": (apart, alike)}):
        assert aggregates(values, {"endpoint": scale}).empty
        assert profiles(values, {"endpoint": scale}).empty
        assert efficiency(make_runs(), scale).empty


def test_efficiency_ends_at_the_iqm_of_final_returns(make_runs):
    runs = make_runs(seeds=7)
    ends = efficiency(runs, FIXED, resamples=300).query("progress == 1").set_index("method")
    scores = {m: matrix(endpoints(runs), m) for m in ("Random", "DUO", "Hybrid")}
    for method, x in scores.items():
        assert ends["iqm"][method] == pytest.approx(metrics.aggregate_iqm(x))
        assert ends["ci_low"][method] < ends["iqm"][method] < ends["ci_high"][method]
