import numpy as np
import pytest

from active_rlhf.analysis.comparisons import summary
from active_rlhf.analysis.curves import POINTS, band, curves, running_mean, smoothed
from active_rlhf.analysis.endpoints import endpoints


def test_running_mean_by_loops():
    returns = np.random.default_rng(0).normal(size=25)
    expected = [np.mean(returns[max(0, k - 9) : k + 1]) for k in range(25)]
    assert running_mean(returns) == pytest.approx(expected)


def test_curves_end_at_the_final_returns(make_runs):
    runs = make_runs()
    table = curves(runs, resamples=100)
    last = table[table["step"] == runs["step"].max()].set_index(["env", "method"])
    final = summary(endpoints(runs)).query("metric_type == 'endpoint'").set_index(["env", "method"])
    for name in ("n", "mean", "iqm", "sd"):
        assert last[name].to_numpy() == pytest.approx(final.loc[last.index, name].to_numpy())


def test_curves_cover_the_common_steps_and_interpolate(make_runs):
    runs = make_runs()
    late = (runs["env"] == "A") & (runs["method"] == "DUO") & (runs["seed"] == 0)
    runs = runs[~(late & (runs["step"] < 5000))]
    table = curves(runs, resamples=10)
    steps = table.groupby("env")["step"].agg(["min", "max"])
    assert steps.loc["A"].tolist() == [5000, 40000] and steps.loc["B"].tolist() == [1000, 40000]
    assert (table.groupby(["env", "method"], observed=True).size() == POINTS).all()
    one = runs[(runs["env"] == "B") & (runs["method"] == "DUO") & (runs["seed"] == 2)]
    returns = one["return"].to_numpy()
    between = smoothed(one, np.array([10250.0]))[0, 0]
    assert between == pytest.approx(0.75 * returns[:10].mean() + 0.25 * returns[1:11].mean())


def test_band_is_the_bootstrap_of_the_mean():
    values = np.random.default_rng(1).exponential(size=(8, 3))
    found = band(values, 0.1, 20_000)
    rng = np.random.default_rng(9)
    means = np.array([values[rng.integers(8, size=8)].mean(axis=0) for _ in range(20_000)])
    low, high = np.quantile(means, [0.05, 0.95], axis=0)
    assert found["ci_low"] == pytest.approx(low, abs=0.04)
    assert found["ci_high"] == pytest.approx(high, abs=0.04)
    assert found["sd"] == pytest.approx(values.std(axis=0, ddof=1)) and found["n"] == 8


def test_one_run_has_no_spread(make_runs):
    table = curves(make_runs(seeds=1), resamples=10)
    assert table["sd"].isna().all() and (table["ci_low"] == table["ci_high"]).all()
