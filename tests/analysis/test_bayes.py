import numpy as np
import pytest

from active_rlhf.analysis.bayes import bayes, signed_rank_posterior
from active_rlhf.analysis.endpoints import endpoints

D = np.random.default_rng(4).normal(0.4, 1.0, 7)


def by_loops(d, rope, draws, prior):
    """The definition, one draw and one pair at a time."""
    z = [0.0, *d]
    wins = np.zeros(3)
    for w in np.random.default_rng(0).dirichlet([prior] + [1.0] * len(d), draws):
        mass = np.zeros(3)
        for i in range(len(z)):
            for j in range(len(z)):
                middle = (z[i] + z[j]) / 2
                mass[0 if middle > rope else 2 if middle < -rope else 1] += w[i] * w[j]
        wins[np.argmax(mass)] += 1
    return wins / draws


@pytest.mark.parametrize(("rope", "prior"), [(0.0, 0.5), (0.3, 0.5), (0.3, 3.0)])
def test_posterior_by_definition(rope, prior):
    found = signed_rank_posterior(D, rope, 300, prior)
    assert found == pytest.approx(tuple(by_loops(D, rope, 300, prior)))


def test_posterior_in_clear_cases():
    assert signed_rank_posterior(D, 10.0) == (0.0, 1.0, 0.0)
    assert signed_rank_posterior(D + 9, 0.1)[0] > 0.999
    assert signed_rank_posterior(np.r_[D, -D], 0.0)[0] == pytest.approx(0.5, abs=0.02)


SCALE = {
    "A": (np.array([-10.0, 10.0]), np.array([800.0])),
    "B": (np.array([0.0]), np.array([400.0])),
}


def test_table(make_runs):
    values = endpoints(make_runs(seeds=6))
    table = bayes(values, {"endpoint": SCALE}, rope=0.02).query("metric_type == 'endpoint'")
    assert list(table["env"]) == ["A", "B", "all"] * 3
    pick = values.query("metric_type == 'endpoint'")
    scaled = []
    for env, width in (("A", 800), ("B", 400)):
        wide = pick[pick["env"] == env].pivot(index="seed", columns="method", values="value")
        d = (wide["Random"] - wide["Hybrid"]).to_numpy()
        scaled.append(d / width)
        row = table.query(f"env == '{env}' and method_a == 'Random' and method_b == 'Hybrid'")
        assert row["rope"].iloc[0] == pytest.approx(0.02 * width)
        posterior = signed_rank_posterior(d, 0.02 * width)
        assert row[["p_a", "p_rope", "p_b"]].iloc[0].tolist() == pytest.approx(list(posterior))
    row = table.query("env == 'all' and method_a == 'Random' and method_b == 'Hybrid'").iloc[0]
    pooled = signed_rank_posterior(np.concatenate(scaled), 0.02)
    assert row[["p_a", "p_rope", "p_b"]].tolist() == pytest.approx(list(pooled))
    assert row["n"] == 12 and row["rope"] == 0.02
    assert set(table["note"]) == {""}


@pytest.mark.parametrize(
    ("seeds", "scales", "note"),
    [
        (5, {"endpoint": SCALE, "auc": SCALE}, "fewer than 6 seeds"),
        (6, {}, "no baselines that can be told apart, to declare equivalence by"),
    ],
)
def test_a_posterior_that_is_not_shown_says_why(make_runs, seeds, scales, note):
    table = bayes(endpoints(make_runs(seeds=seeds)), scales)
    alone = table[table["env"] != "all"]
    assert set(alone["note"]) == {note} and len(alone) == 2 * 2 * 3
    assert alone[["p_a", "p_rope", "p_b"]].isna().all(axis=None)
