from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from active_rlhf.analysis.comparisons import (
    compare,
    comparisons,
    hedges_correction,
    mann_whitney,
    probability_of_improvement,
    rank_biserial,
    standardised,
    summary,
    wilcoxon,
)
from active_rlhf.analysis.endpoints import endpoints

ISSUED = """
env metric_type metric method_a method_b n w_statistic p_value p_value_holm reject_null delta_mean
delta_median sd_delta ci_t_low ci_t_high ci_boot_low ci_boot_high hodges_lehmann ci_hl_low
ci_hl_high dz gz rank_biserial p_mannwhitney prob_improvement family power n_for_80
"""


def differences_with(w: int, n: int = 10) -> np.ndarray:
    """n untied differences whose smaller rank sum is w: greedily make the ranks of w negative."""
    signs = np.ones(n)
    for rank in range(n, 0, -1):
        if w >= rank:
            signs[rank - 1], w = -1, w - rank
    return signs * np.arange(1, n + 1)


@pytest.mark.parametrize(
    ("w", "p"),
    [(0, 0.001953), (1, 0.003906), (2, 0.005859), (3, 0.009766), (5, 0.01953), (8, 0.04883)],
)
def test_known_exact_p_values_of_ten_pairs(w, p):
    found_w, found_p = wilcoxon(differences_with(w))
    assert found_w == w
    assert found_p == pytest.approx(p, rel=2e-4)


@given(st.integers(1, 30), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_wilcoxon_is_scipys_exact_test_without_ties(n, seed):
    d = np.random.default_rng(seed).normal(0.3, 1, n)
    expected = stats.wilcoxon(d, method="exact")
    assert wilcoxon(d) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=10))
@settings(max_examples=60, deadline=None)
def test_wilcoxon_with_ties_and_zeros_is_the_permutation_test(values):
    """scipy flips the signs of the nonzero differences in all ways and ranks each time anew."""
    d = np.array(values, dtype=float)
    d = d[d != 0]
    if len(d) == 0:
        assert wilcoxon(np.zeros(3)) == (0.0, 1.0)
        return

    def positive_ranks(x):
        return np.sum(stats.rankdata(np.abs(x)) * (x > 0))

    if len(d) == 1:
        expected = 1.0
    else:
        expected = stats.permutation_test(
            (d,), positive_ranks, permutation_type="samples", n_resamples=np.inf
        ).pvalue
    assert wilcoxon(np.array(values, dtype=float))[1] == pytest.approx(expected, rel=1e-9)


def test_hedges_correction():
    assert hedges_correction(9) == pytest.approx(0.9139, abs=5e-5)
    # It makes dz unbiased: the mean of sd^-1 of normal samples, E[1/s] = 1/J.
    s = np.random.default_rng(0).normal(size=(200_000, 10)).std(axis=1, ddof=1)
    assert np.mean(1 / s) * hedges_correction(9) == pytest.approx(1, abs=0.003)
    assert np.isnan(hedges_correction(1))


def test_standardised_difference():
    assert standardised(np.array([1.0, 2.0, 3.0])) == 2.0
    assert np.isnan(standardised(np.array([1.0, 1.0]))) and np.isnan(standardised(np.array([1.0])))


@given(st.integers(1, 9), st.integers(0, 10**6))
def test_rank_biserial_is_favourable_minus_unfavourable_share_of_ranks(n, seed):
    d = np.random.default_rng(seed).integers(-4, 5, n).astype(float)
    ranks = stats.rankdata(np.abs(d[d != 0]))
    share = np.sum(ranks * np.sign(d[d != 0])) / np.sum(ranks) if len(ranks) else np.nan
    assert rank_biserial(d) == pytest.approx(share, nan_ok=True)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 10**6))
def test_probability_of_improvement_is_mann_whitneys_u(n, m, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 5, n).astype(float), rng.integers(0, 5, m).astype(float)
    u = stats.mannwhitneyu(a, b, method="asymptotic").statistic
    assert probability_of_improvement(a, b) == pytest.approx(u / (n * m))


def test_mann_whitney_is_exact_by_enumeration():
    a, b = np.array([1.0, 4.0, 6.0, 7.5]), np.array([0.5, 2.0, 3.0])
    pooled = np.concatenate([a, b])

    def u(chosen):
        rest = np.setdiff1d(pooled, chosen)
        return np.sum(np.subtract.outer(chosen, rest) > 0)

    us = np.array([u(np.array(c)) for c in combinations(pooled, 4)])
    extreme = np.abs(us - 6) >= abs(u(a) - 6)
    assert mann_whitney(a, b) == pytest.approx(extreme.mean())
    assert mann_whitney(np.ones(3), np.ones(3)) == 1.0


@given(st.integers(2, 12), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_swapping_a_pair_reverses_signs_and_intervals(n, seed):
    a, b = np.random.default_rng(seed).normal(size=(2, n))
    one, other = compare(a, b, resamples=200), compare(b, a, resamples=200)
    same = ["n", "w_statistic", "p_value", "sd_delta", "p_mannwhitney"]
    turned = ["delta_mean", "delta_median", "hodges_lehmann", "dz", "gz", "rank_biserial"]
    assert [one[k] for k in same] == pytest.approx([other[k] for k in same], nan_ok=True)
    assert [one[k] for k in turned] == pytest.approx([-other[k] for k in turned], nan_ok=True)
    assert one["prob_improvement"] == pytest.approx(1 - other["prob_improvement"])
    for name in ("ci_t", "ci_boot", "ci_bca", "ci_hl"):
        assert one[f"{name}_low"] == pytest.approx(-other[f"{name}_high"])


def test_columns_and_order(make_runs):
    table = comparisons(endpoints(make_runs()), resamples=50)
    assert list(table)[: len(ISSUED.split())] == ISSUED.split()
    pairs = [("Random", "DUO"), ("Random", "Hybrid"), ("DUO", "Hybrid")]
    assert list(zip(table["method_a"], table["method_b"], strict=True)) == pairs * 4
    assert list(table["env"]) == ["A"] * 3 + ["B"] * 3 + ["A"] * 3 + ["B"] * 3
    assert set(table["metric"]) == {"charts/episodic_return"}


@pytest.mark.parametrize(("family", "size"), [("environment", 3), ("study", 12)])
def test_holm_corrects_within_the_family(make_runs, family, size):
    table = comparisons(endpoints(make_runs(seeds=9)), family, 0.1, resamples=50)
    assert set(table.groupby("family").size()) == {size}
    for _, group in table.groupby("family"):
        reject, holm, *_ = multipletests(group["p_value"], 0.1, method="holm")
        assert list(group["p_value_holm"]) == list(holm)
        assert list(group["reject_null"]) == list(reject)
    assert table["reject_null"].any() and not table["reject_null"].all()


def test_pairs_use_the_seeds_both_have(make_runs):
    values = endpoints(make_runs())
    gone = (values["method"] == "DUO") & (values["seed"] == 2) & (values["env"] == "A")
    table = comparisons(values[~gone], resamples=50).query("metric_type == 'endpoint'")
    n = table.set_index(["env", "method_a", "method_b"])["n"]
    assert n["A"].tolist() == [5, 6, 5] and n["B"].tolist() == [6, 6, 6]
    full = comparisons(values, resamples=50)
    a = values.query("env == 'A' and metric_type == 'endpoint' and seed != 2")
    wide = a.pivot(index="seed", columns="method", values="value")
    row = table.query("env == 'A' and method_a == 'Random' and method_b == 'DUO'").iloc[0]
    assert row["delta_mean"] == pytest.approx((wide["Random"] - wide["DUO"]).mean())
    other = "env == 'A' and method_b == 'Hybrid' and method_a == 'Random'"
    shared = table.query(other).iloc[0].drop(["p_value_holm", "reject_null"])
    assert shared.equals(full.query(other).iloc[0].drop(["p_value_holm", "reject_null"]))


def test_one_method_gives_an_empty_table_with_all_columns(make_runs):
    table = comparisons(endpoints(make_runs(methods=("DUO",))))
    assert table.empty and ISSUED.split() == list(table)[: len(ISSUED.split())]


# --- the published Walker2d comparisons ---


@pytest.fixture(scope="module")
def published_pairs(published, published_names, published_runs):
    """(published row, our row, sign that turns ours into the published direction), all twelve."""
    theirs = pd.read_csv(published / "statistical_significance_walker_400.csv")
    ours = comparisons(endpoints(published_runs[published_runs["env"] == "Walker2d-v5"]))
    keyed = {(r["metric_type"], r["method_a"], r["method_b"]): r for _, r in ours.iterrows()}
    pairs = []
    for _, row in theirs.iterrows():
        a, b = (published_names[row[side].split("__")[1]] for side in ("prefix_a", "prefix_b"))
        sign = 1 if (row["metric_type"], a, b) in keyed else -1
        key = (row["metric_type"], *((a, b) if sign == 1 else (b, a)))
        pairs.append((row, keyed[key], sign))
    assert len(pairs) == len(ours) == 12
    return pairs


def test_published_tests_and_effects_are_reproduced(published_pairs):
    for theirs, ours, sign in published_pairs:
        for name in ("p_value", "p_value_holm", "sd_delta"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-9)
        assert ours["w_statistic"] == theirs["W_statistic"]
        assert ours["n"] == theirs["n"] and ours["reject_null"] == theirs["reject_null"]
        for name in ("delta_mean", "delta_median", "dz"):
            assert sign * ours[name] == pytest.approx(theirs[name], rel=1e-9)


def test_published_percentile_bootstrap_is_reproduced(published_pairs):
    for theirs, ours, sign in published_pairs:
        ends = sorted([sign * ours["ci_boot_low"], sign * ours["ci_boot_high"]])
        assert ends == pytest.approx([theirs["ci_boot_low"], theirs["ci_boot_high"]], rel=1e-9)


def test_differences_from_the_published_file_are_known_factors(published_pairs):
    """1.96 in place of the t quantile of 9 df; the correction of n - 2 in place of n - 1 df."""
    for theirs, ours, sign in published_pairs:
        theirs_half = (theirs["ci_t_high"] - theirs["ci_t_low"]) / 2
        ours_half = (ours["ci_t_high"] - ours["ci_t_low"]) / 2
        assert ours_half / theirs_half == pytest.approx(stats.t.ppf(0.975, 9) / 1.96)
        assert theirs["gz"] / theirs["dz"] == pytest.approx(1 - 3 / (4 * 10 - 9))
        assert sign * ours["gz"] / theirs["dz"] == pytest.approx(hedges_correction(9))


# --- summary ---


def test_summary_against_pandas(make_runs):
    values = endpoints(make_runs(seeds=7))
    table = summary(values, 0.1)
    grouped = values.groupby(["env", "metric_type", "method"], sort=False, observed=True)["value"]
    for name, how in {"n": "size", "mean": "mean", "median": "median", "sd": "std"}.items():
        assert table[name].to_numpy() == pytest.approx(grouped.agg(how).to_numpy())
    assert table["min"].tolist() == grouped.min().tolist()
    assert table["max"].tolist() == grouped.max().tolist()
    assert table["sem"].to_numpy() == pytest.approx(grouped.sem().to_numpy())
    iqr = grouped.quantile(0.75).to_numpy() - grouped.quantile(0.25).to_numpy()
    assert table["iqr"].to_numpy() == pytest.approx(iqr)
    assert table["cv"].to_numpy() == pytest.approx((table["sd"] / table["mean"].abs()).to_numpy())
    half = stats.t.ppf(0.95, 6) * table["sem"]
    assert (table["ci_high"] - table["mean"]).to_numpy() == pytest.approx(half.to_numpy())
    for (_, group), found in zip(grouped, table["iqm"], strict=True):
        assert found == pytest.approx(np.sort(group)[1:-1].mean())  # floor(7 / 4) off each end


def test_summary_of_single_runs(make_runs):
    table = summary(endpoints(make_runs(seeds=1)))
    assert table[["sd", "sem", "ci_low", "ci_high", "cv"]].isna().all(axis=None)
    assert (table["iqm"] == table["mean"]).all()
