import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.analysis import endpoints as module
from active_rlhf.analysis.endpoints import ENDPOINTS, auc, common_range, endpoints
from active_rlhf.analysis.frames import FrameError
from active_rlhf.errors import InputError
from active_rlhf.results.export import ExportError

RETURNS = np.array([3.0, -1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0])
STEPS = np.arange(1, 13) * 100


def test_endpoints_by_hand():
    values = {name: function(RETURNS, STEPS) for name, function in ENDPOINTS.items()}
    assert values["final"] == pytest.approx(48 / 10)
    assert values["last"] == 8.0
    assert values["best"] == 9.0
    # Of 1200 steps the last tenth begins after 1080: episodes at 1100 and 1200.
    assert values["last_steps"] == pytest.approx((5 + 8) / 2)
    moving = RETURNS[0]
    for value in RETURNS[1:]:
        moving += 2 / 11 * (value - moving)
    assert values["ema"] == pytest.approx(moving)


def test_final_of_a_short_run_is_the_mean_of_all():
    assert module.final(RETURNS[:4], STEPS[:4]) == pytest.approx(7 / 4)


def test_auc_of_a_straight_line_is_its_middle():
    assert auc(2.0 * STEPS, STEPS, 150, 1050) == pytest.approx(2 * 600)
    assert auc(RETURNS, STEPS, 100, 1200) == pytest.approx(
        np.trapezoid(RETURNS, STEPS) / (1200 - 100)
    )
    assert auc(RETURNS, STEPS, 300, 300) == RETURNS[2]


@given(st.floats(100, 1200), st.floats(100, 1200), st.floats(100, 1200))
def test_auc_is_the_mean_of_its_pieces(x, y, z):
    low, middle, high = sorted([x, y, z])
    pieces = [(low, middle), (middle, high)]
    area = sum(auc(RETURNS, STEPS, a, b) * (b - a) for a, b in pieces)
    assert auc(RETURNS, STEPS, low, high) * (high - low) == pytest.approx(area, abs=1e-6)


def runs_of(**runs):
    """Frames of runs given as method=(steps, returns) of one environment and seed."""
    frames = [
        pd.DataFrame({"env": "A", "method": m, "seed": 1, "step": s, "return": r})
        for m, (s, r) in runs.items()
    ]
    return pd.concat(frames, ignore_index=True)


def test_auc_covers_the_steps_common_to_the_environment():
    runs = runs_of(a=([0, 100], [0.0, 100.0]), b=([50, 90, 200], [7.0, 7.0, 7.0]))
    assert common_range(runs) == (50, 100)
    values = endpoints(runs).query("metric_type == 'auc'").set_index("method")["value"]
    assert values["a"] == pytest.approx(75) and values["b"] == pytest.approx(7)


def test_runs_without_common_steps_are_an_error():
    runs = runs_of(a=([0, 100], [0.0, 1.0]), b=([101, 200], [0.0, 1.0]))
    with pytest.raises(ExportError, match=r"A, b, 1: .*no common steps"):
        endpoints(runs)


def test_rows_by_endpoint_then_environment_method_and_seed(make_runs):
    table = endpoints(make_runs(seeds=2), "last", ["best"])
    assert list(table) == ["env", "method", "seed", "metric_type", "value"]
    assert list(table["metric_type"].unique()) == ["endpoint", "auc", "final", "best"]
    block = table[table["metric_type"] == "auc"]
    assert list(block["env"]) == ["A"] * 6 + ["B"] * 6
    assert list(block["method"].astype(str))[:6] == ["Random"] * 2 + ["DUO"] * 2 + ["Hybrid"] * 2
    runs = make_runs(seeds=2)
    one = runs[(runs["env"] == "B") & (runs["method"] == "DUO") & (runs["seed"] == 1)]
    row = table.query("env == 'B' and method == 'DUO' and seed == 1").set_index("metric_type")
    assert row["value"]["endpoint"] == one["return"].iloc[-1]
    assert row["value"]["best"] == one["return"].max()


@pytest.mark.parametrize(
    ("main", "others"), [("final", ["evaluation"]), ("evaluation", ["final"]), ("last", "both")]
)
def test_final_and_evaluation_stand_beside_each_other(make_runs, evaluate, main, others):
    runs = make_runs(seeds=2)
    table = endpoints(runs, main, evaluations=evaluate(runs))
    others = ["final", "evaluation"] if others == "both" else others
    assert list(table["metric_type"].unique()) == ["endpoint", "auc", *others]
    one = runs[(runs["env"] == "B") & (runs["method"] == "DUO") & (runs["seed"] == 1)]["return"]
    row = table.query("env == 'B' and method == 'DUO' and seed == 1").set_index("metric_type")
    known = {"final": one.tail(10).mean(), "last": one.iloc[-1], "evaluation": one.iloc[-1] + 50}
    for name, where in ({main: "endpoint"} | {name: name for name in others}).items():
        assert row["value"][where] == pytest.approx(known[name])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f[f["seed"] != 1], "method Random, seed 1: there is none"),
        (lambda f: f[f["return_mean"] == 0], "the last is at step 20000, before the run's end at"),
        (lambda f: f.assign(episodes=9), "the last has 9 episodes, fewer than 10"),
        (lambda f: f.assign(return_mean=np.nan), "return_mean nan is not a finite number"),
        (lambda f: f.drop(columns="episodes"), "evaluations has no column episodes"),
    ],
)
def test_evaluations_that_do_not_count_are_refused(make_runs, evaluate, change, said):
    runs = make_runs(seeds=2)
    with pytest.raises(FrameError, match=said):
        endpoints(runs, evaluations=change(evaluate(runs)))
    with pytest.raises(InputError, match="needs the runs' evaluations"):
        endpoints(runs, "evaluation")


def test_published_final_returns(published_runs):
    """Means and sd as the thesis prints them, in whole units of return."""
    table = endpoints(published_runs).query("metric_type == 'endpoint'")
    found = table.groupby(["env", "method"], observed=True)["value"].agg(["mean", "std"]).round()
    expected = {
        "HalfCheetah-v5": [(2295, 903), (2888, 915), (2786, 1188), (2956, 1289)],
        "Walker2d-v5": [(1600, 641), (1624, 700), (1730, 483), (1387, 435)],
    }
    for env, pairs in expected.items():
        assert [tuple(row) for row in found.loc[env].to_numpy()] == pairs
