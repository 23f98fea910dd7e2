import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.anova import anova_lm

from active_rlhf.analysis.endpoints import endpoints
from active_rlhf.analysis.ranks import critical_difference, friedman, mean_ranks, ranks


def test_known_critical_difference():
    assert critical_difference(4, 10) == pytest.approx(1.483, abs=5e-4)


def test_best_is_rank_one_and_ties_share():
    values = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 0.0]])
    assert mean_ranks(values).tolist() == [1.25, 2.25, 2.5]


@given(st.integers(3, 6), st.integers(2, 12), st.booleans(), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_friedman_is_scipys(k, n, ties, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, (n, k)).astype(float) if ties else rng.normal(size=(n, k))
    if np.ptp(values, axis=1).max() == 0:
        assert np.isnan(friedman(values)).all()
        return
    chi2, p, *_ = friedman(values)
    expected = stats.friedmanchisquare(*values.T)
    assert (chi2, p) == pytest.approx(tuple(expected))


def test_iman_davenport_is_the_anova_of_ranks():
    """F of the two-way analysis of variance (blocks and methods, no interaction) on the ranks."""
    values = np.random.default_rng(3).normal([0, 0.4, 0.8, 0.2], size=(9, 4))
    table = pd.DataFrame(stats.rankdata(-values, axis=1)).melt(ignore_index=False).reset_index()
    model = smf.ols("value ~ C(variable) + C(index)", table).fit()
    anova = anova_lm(model).loc["C(variable)"]
    _, _, f, p = friedman(values)
    assert (f, p) == pytest.approx((anova["F"], anova["PR(>F)"]))


def test_agreement_of_all_blocks_is_the_extreme_case():
    values = np.tile([3.0, 2.0, 1.0], (5, 1))
    assert friedman(values) == (10.0, pytest.approx(stats.chi2.sf(10, 2)), np.inf, 0.0)


def test_nemenyi_at_the_critical_difference_has_p_of_alpha():
    """scikit-posthocs' p-value of a pair is below .05 just where the ranks differ by more."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.normal(size=(8, 4)) + rng.uniform(0, 2, 4)
        p = scikit_posthocs.posthoc_nemenyi_friedman(values).to_numpy()
        difference = np.abs(np.subtract.outer(mean_ranks(values), mean_ranks(values)))
        assert ((p < 0.05) == (difference > critical_difference(4, 8))).all()


def test_table_has_the_blocks_it_says(make_runs):
    values = endpoints(make_runs(seeds=6))
    values = values[~((values["env"] == "A") & (values["method"] == "DUO") & (values["seed"] == 1))]
    table = ranks(values).query("metric_type == 'endpoint'")
    shape = table.groupby(["env", "blocks"], sort=False)["n_blocks"].first().to_dict()
    assert shape == {
        ("A", "seeds"): 5,
        ("B", "seeds"): 6,
        ("all", "environments x seeds"): 11,
        ("all", "environments"): 2,
    }
    one = values.query("env == 'B' and metric_type == 'endpoint'")
    wide = one.pivot(index="seed", columns="method", values="value")
    row = table.query("env == 'B'")
    assert row["chi2"].iloc[0] == pytest.approx(stats.friedmanchisquare(*wide.to_numpy().T)[0])
    assert row["mean_rank"].sum() == pytest.approx(1 + 2 + 3)
    assert list(row["method"]) == ["Random", "DUO", "Hybrid"]
