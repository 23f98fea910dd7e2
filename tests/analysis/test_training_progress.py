"""Training progress: running means and the latest session at each step, over seeds."""

import numpy as np
import pandas as pd
import pytest
from synthetic import runs, sessions

from active_rlhf.analysis.progress import QUANTITIES, progress


def test_each_quantity_is_the_mean_over_seeds_of_what_a_run_had_by_then():
    episodes = runs(["a", "b"], ["E"], 3)
    episodes["learned_return"] = (episodes["return"] * 2).where(episodes["step"] > 10_000)
    asked = sessions(["a", "b"], ["E"], 3)
    asked.loc[asked["method"] == "b", "validation_accuracy"] = np.nan
    table = progress(episodes, asked, resamples=100).set_index(["method", "quantity"])
    assert set(table["n"]) == {3} and not table[["ci_low", "ci_high"]].isna().any(axis=None)
    assert set(table.loc["b"].index) == {*QUANTITIES} - {"agreement"}

    def at(quantity: str, step: float) -> float:
        rows = table.loc[("a", quantity)]
        return rows.loc[np.isclose(rows["step"], step), "mean"].item()

    mine = episodes[episodes["method"] == "a"].groupby("seed")
    last = [run["return"].to_numpy() for _, run in mine]
    assert at("return", 30_000) == pytest.approx(np.mean([r[-10:].mean() for r in last]))
    assert at("return", 15_000) == pytest.approx(np.mean([r[5:15].mean() for r in last]))
    assert at("learned_return", 12_000) == pytest.approx(
        np.mean([r[10:12].mean() * 2 for r in last])
    )
    assert table.loc[("a", "learned_return"), "step"].min() >= 11_000

    of_a = asked[asked["method"] == "a"]
    for step, session in ((12_000, 3), (12_600, 4), (30_000, 9)):
        then = of_a[of_a["session"] == session]
        assert at("agreement", step) == pytest.approx(then["validation_accuracy"].mean())
        assert at("labels", step) == then["labels"].mean()
    assert at("labels", 0) == 0


def test_runs_of_earlier_versions_have_no_learned_returns():
    episodes = runs(["a"], ["E"], 2).assign(learned_return=np.nan)
    table = progress(episodes, sessions(["a"], ["E"], 2), resamples=100)
    assert set(table["quantity"]) == {*QUANTITIES} - {"learned_return"}
    empty = progress(episodes, sessions(["a"], ["E"], 2).iloc[:0], resamples=100)
    assert isinstance(empty, pd.DataFrame) and set(empty["quantity"]) == {"return"}
