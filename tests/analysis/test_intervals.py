from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from active_rlhf.analysis.intervals import (
    bootstrap_intervals,
    hodges_lehmann,
    hodges_lehmann_interval,
    signed_rank_null,
    t_interval,
    walsh_averages,
)

TEN = np.random.default_rng(1).normal(1.0, 2.0, 10)


@pytest.mark.parametrize("ranks", [[1, 2, 3, 4, 5, 6], [1.5, 1.5, 3, 4.5, 4.5, 6], [2, 2, 2], [1]])
def test_signed_rank_null_counts_all_sign_patterns(ranks):
    sums = [
        sum(r for r, s in zip(ranks, signs, strict=True) if s)
        for signs in product([0, 1], repeat=len(ranks))
    ]
    null = signed_rank_null(np.array(ranks))
    counted = np.bincount(np.rint(2 * np.array(sums)).astype(int), minlength=len(null))
    np.testing.assert_allclose(null, counted / 2 ** len(ranks), rtol=0, atol=1e-15)


def test_walsh_averages_and_estimate_by_loops():
    averages = sorted((TEN[i] + TEN[j]) / 2 for i in range(10) for j in range(i, 10))
    assert walsh_averages(TEN) == pytest.approx(averages)
    assert hodges_lehmann(TEN) == pytest.approx(averages[27])


def test_ten_pairs_take_the_9th_and_47th_walsh_average():
    averages = walsh_averages(TEN)
    assert hodges_lehmann_interval(TEN) == (averages[8], averages[46])


@pytest.mark.parametrize(("n", "finite"), [(1, False), (5, False), (6, True)])
def test_too_few_pairs_give_the_whole_line(n, finite):
    assert np.isfinite(hodges_lehmann_interval(TEN[:n])).all() == finite


@given(st.integers(6, 14), st.integers(0, 10**6), st.sampled_from([0.9, 0.95, 0.99]))
@settings(max_examples=50, deadline=None)
def test_interval_holds_exactly_the_shifts_that_the_test_keeps(n, seed, level):
    """Dual of scipy's exact test: just inside each end it keeps the shift, just outside not."""
    d = np.random.default_rng(seed).normal(size=n)
    low, high = hodges_lehmann_interval(d, level)
    if not np.isfinite(low):
        assert 2 / 2**n > 1 - level
        return
    for end, outward in ((low, -1), (high, 1)):
        for inside in (True, False):
            shift = end + outward * (-1e-9 if inside else 1e-9)
            p = stats.wilcoxon(d - shift, method="exact").pvalue
            assert (p > 1 - level) == inside


def test_t_interval_is_scipys():
    expected = stats.ttest_1samp(TEN, 0).confidence_interval(0.9)
    assert t_interval(TEN, 0.9) == pytest.approx(tuple(expected))
    assert np.isnan(t_interval(TEN[:1])).all()


def bca_by_definition(values, draws, level):
    """Efron (1987): percentiles moved by the bias z0 and the acceleration from the jackknife."""
    n, mean = len(values), values.mean()
    z0 = stats.norm.ppf(np.mean(draws < mean) + np.mean(draws == mean) / 2)
    left_out = np.array([np.delete(values, i).mean() for i in range(n)])
    d = left_out.mean() - left_out
    a = np.sum(d**3) / (6 * np.sum(d**2) ** 1.5)
    z = stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    return np.quantile(draws, stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))))


def test_bootstrap_intervals_by_definition():
    values = np.random.default_rng(2).exponential(size=12)
    bca, percentile = bootstrap_intervals(values, 0.9, 5000)
    draws = np.random.default_rng(0).choice(values, (5000, 12)).mean(axis=1)
    assert percentile == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])), abs=0.01)
    assert bca == pytest.approx(tuple(bca_by_definition(values, draws, 0.9)), abs=0.01)
    assert bca[0] > percentile[0] and bca[1] > percentile[1]  # skewed to the right


def test_bootstrap_of_one_or_of_equal_values():
    assert np.isnan(bootstrap_intervals(TEN[:1])).all()
    assert bootstrap_intervals(np.full(4, 2.5)) == ((2.5, 2.5), (2.5, 2.5))
