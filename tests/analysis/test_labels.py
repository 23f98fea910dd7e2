import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.analysis.endpoints import final
from active_rlhf.analysis.labels import (
    censored_median,
    label_curves,
    labels_needed,
    labels_to_reach,
    return_at_labels,
)


def run(returns, labels):
    returns = np.asarray(returns, dtype=float)
    steps = 100 * np.arange(1, len(returns) + 1)
    return pd.DataFrame({"step": steps, "return": returns, "labels": labels})


def test_labels_of_the_first_full_window_that_reaches_the_threshold():
    """Returns 0..19, ten labels an episode: the mean of episodes k-9..k is k - 4.5."""
    rising = run(np.arange(20), 10 * np.arange(1, 21))
    assert labels_to_reach(rising, 4.5) == 100
    assert labels_to_reach(rising, 4.6) == 110
    assert labels_to_reach(rising, 14.5) == 200
    assert labels_to_reach(rising, 14.6) == np.inf
    # One lucky first episode is not a window of ten.
    lucky = run([99, *np.zeros(19)], 10 * np.arange(1, 21))
    assert labels_to_reach(lucky, 20) == np.inf
    assert labels_to_reach(rising[:4], 1.5) == 40


def test_return_at_labels_is_the_last_before_more_were_asked():
    asked = run([1, 2, 3, 4, 5, 6], [5, 5, 10, 10, 10, 20])
    found = return_at_labels(asked, np.array([5, 9, 10, 19, 20, 99]))
    assert found == pytest.approx([1.5, 1.5, 3, 3, 3.5, 3.5])


@given(st.lists(st.one_of(st.integers(0, 9), st.just(np.inf)), min_size=1, max_size=9))
def test_median_counts_runs_that_never_got_there_as_last(values):
    values = np.array(values, dtype=float)
    found = censored_median(values)
    assert found in values
    assert np.sum(values <= found) >= len(values) / 2
    assert np.isfinite(found) == (np.isfinite(values).sum() >= len(values) / 2)


def test_labels_needed_for_the_first_methods_level(make_runs):
    runs = make_runs(seeds=7)
    table = labels_needed(runs, resamples=500)
    assert list(table["share"]) == [0.5, 0.75, 1.0] * 6
    one = runs[runs["env"] == "A"]
    starts = [
        g["return"].to_numpy()[:10] for _, g in one.groupby(["method", "seed"], observed=True)
    ]
    goals = [
        final(g["return"].to_numpy(), g["step"].to_numpy())
        for _, g in one[one["method"] == "Random"].groupby("seed")
    ]
    start, goal = np.mean(starts), np.mean(goals)
    thresholds = table.query("env == 'A' and method == 'DUO'")["threshold"]
    assert thresholds.tolist() == pytest.approx(
        [start + s * (goal - start) for s in (0.5, 0.75, 1)]
    )

    row = table.query("env == 'A' and method == 'Random' and share == 1").iloc[0]
    groups = one[one["method"] == "Random"].groupby("seed")
    needed = sorted(labels_to_reach(g, goal) for _, g in groups)
    assert row["n"] == 7 and row["reached"] == np.isfinite(needed).sum() < 7
    assert row["median"] == needed[3] and row["ci_low"] <= row["median"] <= row["ci_high"]
    assert row["ci_high"] == np.inf


def test_interval_of_the_median_by_resampling(make_runs):
    runs = make_runs(seeds=9, episodes=80)
    row = labels_needed(runs, resamples=4000).query("env == 'B' and method == 'Hybrid'").iloc[1]
    members = runs[(runs["env"] == "B") & (runs["method"] == "Hybrid")]
    needed = np.array([labels_to_reach(g, row["threshold"]) for _, g in members.groupby("seed")])
    rng = np.random.default_rng(7)
    medians = np.sort([np.sort(needed[rng.integers(9, size=9)])[4] for _ in range(4000)])
    assert row["ci_low"] == medians[99] and row["ci_high"] == medians[3899]


def test_label_curves_by_loops(make_runs):
    runs = make_runs(seeds=4)
    table = label_curves(runs, resamples=50)
    one = table.query("env == 'A' and method == 'DUO'").set_index("labels")
    assert list(one.index) == list(range(10, 111, 10))
    members = runs[(runs["env"] == "A") & (runs["method"] == "DUO")]
    ends = []
    for _, group in members.groupby("seed"):
        before = group[group["labels"] <= 60]["return"].to_numpy()
        ends.append(before[-10:].mean())
    assert one["mean"][60] == pytest.approx(np.mean(ends))
    assert one["sd"][60] == pytest.approx(np.std(ends, ddof=1))


def test_methods_that_ask_nothing_and_exports_without_labels(make_runs):
    runs = make_runs()
    baseline = runs.assign(labels=runs["labels"].where(runs["method"] != "Random", 0))
    for table in (label_curves(baseline, resamples=5), labels_needed(baseline, resamples=5)):
        assert set(table["method"]) == {"DUO", "Hybrid"}
    imported = runs.drop(columns="labels")
    for function in (label_curves, labels_needed):
        assert function(imported).empty
        assert list(function(imported)) == list(function(runs, resamples=5))


def test_no_level_where_the_first_method_learns_nothing(make_runs):
    runs = make_runs()
    flat = runs["return"].where((runs["env"] != "A") | (runs["method"] != "Random"), -5.0)
    assert set(labels_needed(runs.assign(**{"return": flat}), resamples=5)["env"]) == {"B"}


def test_an_environment_without_labels_is_left_out(make_runs):
    runs = make_runs()
    part = runs.assign(labels=runs["labels"].where(runs["env"] == "B"))
    for table in (label_curves(part, resamples=5), labels_needed(part, resamples=5)):
        assert set(table["env"]) == {"B"}
