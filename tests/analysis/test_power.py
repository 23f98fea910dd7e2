import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from active_rlhf.analysis.comparisons import comparisons, wilcoxon
from active_rlhf.analysis.endpoints import endpoints
from active_rlhf.analysis.power import (
    detectable,
    family_warning,
    power,
    power_table,
    seeds_needed,
    smallest_p,
)


def test_known_values():
    assert power(10, 0.8, 0.05) == pytest.approx(0.59, abs=0.005)
    assert seeds_needed(0.8, 0.05) == 15
    assert seeds_needed(0.8, 0.05 / 6) == 24


@given(st.integers(7, 60), st.floats(0.05, 1.5), st.sampled_from([0.05, 0.05 / 3]))
def test_power_is_the_t_tests_at_955_pairs_in_a_thousand(n, dz, alpha):
    expected = TTestPower().power(dz, nobs=n * 3 / np.pi, alpha=alpha)
    if np.isfinite(expected):  # statsmodels' noncentral t gives up on far tails
        assert power(n, dz, alpha) == pytest.approx(expected, abs=1e-3)
    assert power(n, dz, alpha) == power(n, -dz, alpha)


@pytest.mark.parametrize(
    ("n", "dz", "alpha"), [(10, 0.8, 0.05), (15, 0.8, 0.05), (24, 0.8, 0.05 / 6)]
)
def test_power_is_near_that_of_the_exact_test_on_normal_differences(n, dz, alpha):
    d = np.random.default_rng(0).normal(dz, 1, (4000, n))
    rejected = np.mean([wilcoxon(row)[1] <= alpha for row in d])
    assert power(n, dz, alpha) == pytest.approx(rejected, abs=0.03)


def test_no_power_where_the_test_cannot_reject():
    assert smallest_p(5) == wilcoxon(np.arange(1.0, 6.0))[1] == 0.0625
    assert power(5, 3.0, 0.05) == 0.0 and detectable(5, 0.05) == np.inf
    assert power(6, 3.0, 0.05) > 0.9


@given(st.floats(0.1, 3), st.sampled_from([0.05, 0.01, 0.001]))
@settings(deadline=None)
def test_seeds_needed_are_the_fewest(dz, alpha):
    n = seeds_needed(dz, alpha)
    assert power(n, dz, alpha) >= 0.8 > power(n - 1, dz, alpha)


@given(st.integers(6, 200), st.sampled_from([0.05, 0.01, 0.001]))
def test_detectable_effect_has_the_power(n, alpha):
    dz = detectable(n, alpha)
    assert np.isinf(dz) or power(n, dz, alpha) == pytest.approx(0.8)


def test_no_effect_needs_no_number_of_seeds():
    with pytest.raises(ValueError, match="cannot be detected"):
        seeds_needed(0.0, 0.05)


@pytest.mark.parametrize(
    ("n", "m", "warned"),
    [(10, 6, False), (10, 25, False), (10, 26, True), (10, 48, True), (5, 1, True)],
)
def test_a_family_that_can_reject_nothing_is_named(n, m, warned):
    warning = family_warning(n, m, 0.05)
    assert (warning is not None) == warned
    if warned:
        needed = int(warning.split("takes ")[1].split()[0])
        assert family_warning(needed, m, 0.05) is None
        assert family_warning(needed - 1, m, 0.05) is not None


def test_power_table(make_runs):
    values = endpoints(make_runs(seeds=8))
    pairs = comparisons(values, resamples=20)
    table = power_table(pairs)
    assert set(pairs["power"]) == set(table["power"]) and len(set(pairs["power"])) == 1
    assert set(pairs["n_for_80"]) == set(table["n_for_80"])
    assert list(table["tests"]) == [3] * 4 and list(table["n"]) == [8] * 4
    assert table["rejection_possible"].all() and (table["warning"] == "").all()
    row = table.iloc[0]
    assert row["level"] == pytest.approx(0.05 / 3)
    assert row["power"] == power(8, 0.8, 0.05 / 3)
    assert row["n_for_80"] == seeds_needed(0.8, 0.05 / 3)

    few = power_table(comparisons(values[values["seed"] < 3], "study", resamples=20))
    assert not few["rejection_possible"].any() and "nothing can be rejected" in few["warning"][0]
    assert list(power_table(comparisons(values[values["method"] == "DUO"]))) == list(table)
