"""Runs that are not paired, recomputed with plain scipy, and differences made by rounding."""

import numpy as np
import pandas as pd
import pytest
import scipy
from statsmodels.stats.power import TTestIndPower

from active_rlhf.analysis.comparisons import (
    compare,
    compare_unpaired,
    comparisons,
    differences,
    mann_whitney,
)
from active_rlhf.analysis.endpoints import auc
from active_rlhf.analysis.intervals import rank_sum_null
from active_rlhf.analysis.power import family_warning, power, seeds_needed, smallest_p
from active_rlhf.analysis.study import statistics


def values(n: int, m: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n + m)
    a, b = rng.normal(1.0, 2.0, n), rng.normal(0.0, 1.0, m)
    return (a.round(), b.round()) if ties else (a, b)


@pytest.mark.parametrize(("n", "m", "ties"), [(5, 20, False), (8, 8, True), (60, 40, False)])
def test_measures_of_two_independent_methods(n, m, ties):
    a, b = values(n, m, ties)
    row = compare_unpaired(a, b, resamples=500)
    method = "exact" if max(n, m) <= 50 and not ties else "asymptotic"
    test = scipy.stats.mannwhitneyu(a, b, method=method)
    assert (row["w_statistic"], row["p_value"]) == pytest.approx(tuple(test))
    assert row["p_mannwhitney"] == row["p_value"] and row["n"] == min(n, m)
    outer = np.subtract.outer(a, b)
    assert row["hodges_lehmann"] == np.median(outer)
    assert row["prob_improvement"] == np.mean(outer > 0) + np.mean(outer == 0) / 2
    assert row["rank_biserial"] == pytest.approx(2 * row["prob_improvement"] - 1)
    welch = scipy.stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (row["ci_t_low"], row["ci_t_high"]) == pytest.approx((welch.low, welch.high))
    sd = np.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / (n + m - 2))
    assert row["dz"] == pytest.approx((a.mean() - b.mean()) / sd)
    assert row["gz"] == pytest.approx(row["dz"] * (1 - 3 / (4 * (n + m) - 9)), rel=2e-3)
    for low, high in (("ci_boot_low", "ci_boot_high"), ("ci_bca_low", "ci_bca_high")):
        assert row[low] < row["delta_mean"] < row[high]
    # The interval holds the shifts that the test does not reject.
    low, high = row["ci_hl_low"], row["ci_hl_high"]
    for shift, inside in ((low - 1e-6, False), (low + 1e-6, True), (high + 1e-6, False)):
        assert (mann_whitney(a - shift, b) > 0.05) == inside


def test_the_distribution_of_u_is_exact():
    for n, m in ((1, 3), (4, 7), (30, 50)):
        a, b = values(n, m)
        u, p = scipy.stats.mannwhitneyu(a, b, method="exact")
        below = rank_sum_null(n, m)[: round(min(u, n * m - u)) + 1].sum()
        assert min(1, 2 * below) == pytest.approx(p)
    assert smallest_p(3, 4) == 2 / 35 and smallest_p(5) == 2 / 32


def test_power_is_that_of_the_t_test_with_fewer_runs():
    n, m = 14, 40
    wanted = TTestIndPower().power(0.8, n * 3 / np.pi, 0.05, ratio=m / n)
    assert power(n, 0.8, 0.05, m) == pytest.approx(wanted)
    k = seeds_needed(0.8, 0.05, unpaired=True)
    assert power(k, 0.8, 0.05, k) >= 0.8 > power(k - 1, 0.8, 0.05, k - 1)
    assert power(2, 0.8, 0.05, 3) == 0
    assert "With 2 and 3 runs" in (family_warning(2, 1, 0.05, 3) or "")
    assert (family_warning(1, 1, 0.05) or "").startswith("With 1 seed the")


def test_a_study_of_methods_without_common_seeds(make_runs):
    runs = make_runs(("A", "B", "C"), seeds=8, episodes=12, envs=("X", "Y"))
    runs["seed"] += 100 * runs["method"].astype("category").cat.codes.astype(int)
    runs = runs[~((runs["method"] == "C") & (runs["seed"] % 100 > 5))]
    tables = statistics(runs, design="unpaired", resamples=50)
    table = tables["comparisons"].query("metric_type == 'endpoint'")
    assert set(table["design"]) == {"unpaired"} and len(table) == 6
    final = runs.groupby(["env", "method", "seed"], observed=True)["return"].apply(
        lambda r: r.iloc[-10:].mean()
    )
    for _, rows in table.groupby("env"):
        found = rows.set_index(["method_a", "method_b"])
        plain = {
            (a, b): scipy.stats.mannwhitneyu(final[env, a], final[env, b], method="exact").pvalue
            for env, (a, b) in zip(rows["env"], found.index, strict=True)
        }
        assert found["p_value"].to_dict() == pytest.approx(plain)
        order = np.sort(list(plain.values()))
        holm = np.minimum(1, np.maximum.accumulate(order * np.arange(len(order), 0, -1)))
        assert np.sort(found["p_value_holm"]) == pytest.approx(holm)
    assert set(tables["ranks"]["blocks"]) == {"environments"} and tables["bayes"].empty
    assert comparisons(tables["endpoints"])["n"].empty  # nothing is paired


def test_rounding_is_no_difference():
    """Of constant differences, and of areas under equal returns that were logged at two rates."""
    a = np.array([0.3, 1.3, 2.3, 3.3, 4.3, 5.3])
    row = compare(a, a - 0.1, resamples=20)
    assert np.isnan(row["dz"]) and row["rank_biserial"] == 1
    assert np.ptp(differences(a, a - 0.1)) == 0
    assert np.isnan(compare_unpaired(np.full(3, 0.3), np.full(3, 0.1 + 0.1), resamples=20)["dz"])
    rows = []
    for seed in range(10):
        for method, every in (("often", 10), ("seldom", 70)):
            for step in range(every, 7001, every):
                value = 1000 * np.sin((step // 3500) * np.pi + 0.1 * seed)
                rows.append(("E", method, seed, step, value if step > 70 else 0.1))
    runs = pd.DataFrame(rows, columns=["env", "method", "seed", "step", "return"])
    flat = runs.assign(**{"return": 0.1 * (runs["seed"] + 1) / 3})
    table = statistics(flat, resamples=20)["comparisons"]
    assert table["p_value"].eq(1).all() and not table["reject_null"].any()
    assert np.isnan(table["dz"]).all()


def test_environments_in_parallel_count_as_their_mean():
    steps, returns = np.array([10, 20, 20, 30]), np.array([0.0, 1.0, 3.0, 4.0])
    assert auc(returns, steps, 10, 30) == np.trapezoid([0, 2, 4], [0, 0.5, 1])
