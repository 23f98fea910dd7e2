"""Which settings a sweep leads to, and what a trial is worth."""

import json
from statistics import mode

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.errors import InputError
from active_rlhf.files import sha256
from active_rlhf.results.export import ExportError
from active_rlhf.study.sweep import Dimension, Objective
from active_rlhf.tuning.choice import (
    Choice,
    differing,
    read_choices,
    typical_values,
    variants,
    write_choices,
)
from active_rlhf.tuning.objective import return_of, summed_up

SPACE = {
    "rate": Dimension(low=0.0, high=1.0, whole=False),
    "epochs": Dimension(low=1, high=9, step=2, whole=True),
    "hidden": Dimension(choices=([8, 8], [16, 16], [32, 32])),
}


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1), st.sampled_from([1, 3, 5, 7, 9]), st.sampled_from([[8, 8], [16, 16]])
        ),
        min_size=1,
        max_size=9,
    )
)
def test_typical_values_are_medians_of_numbers_and_modes_of_choices(rows):
    trials = [dict(zip(SPACE, row, strict=True)) for row in rows]
    found = typical_values(SPACE, trials)
    rates, epochs, hidden = zip(*rows, strict=True)
    assert found["rate"] == np.median(rates)
    assert found["epochs"] in (1, 3, 5, 7, 9)
    assert abs(found["epochs"] - np.median(epochs)) <= 1
    assert found["hidden"] == json.loads(mode(map(json.dumps, hidden)))


def choice(own, best, typical):
    return Choice(32, 3, 1.5, [3, 7, 9], own, {"best": best, "typical": typical})


def test_what_is_tested_differs_from_what_there_was(tmp_path):
    own = {"a.x": 1, "a.y": [8, 8]}
    choices = {
        "duo": choice(own, {"a.x": 2, "a.y": [8, 8]}, {"a.x": 3, "a.y": [8, 8]}),
        "random": choice(own, own, own),
        "hybrid": choice(None, own, own),
        "entropy": choice(own, {"a.x": 2, "a.y": [8, 8]}, {"a.x": 2, "a.y": [8, 8]}),
    }
    assert variants(choices) == {
        "best": {"duo": {"a.x": 2}, "random": {}, "hybrid": own, "entropy": {"a.x": 2}},
        "typical": {"duo": {"a.x": 3}, "random": {}, "hybrid": {}, "entropy": {}},
    }
    assert differing(own, None) == own
    path = tmp_path / "choices.json"
    assert read_choices(path) is None
    write_choices("this sweep", choices, path)
    assert read_choices(path, "this sweep") == choices == read_choices(path)
    assert read_choices(path, "another") is None
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"choices\.json: is damaged"):
        read_choices(path)


@pytest.fixture
def run(tmp_path):
    """A finished run of three episodes and two evaluations."""
    episodes = pd.DataFrame(
        {"step": [100, 250, 400], "return": [1.0, 4.0, 7.0], "length": 100, "labels": 0}
    )
    evaluations = pd.DataFrame(
        {"step": [200, 400], "return_mean": [2.0, 9.5], "return_sd": 0.0, "episodes": 10}
    )
    episodes.to_csv(tmp_path / "episodes.csv", index=False)
    evaluations.assign(labels=0).to_csv(tmp_path / "evaluations.csv", index=False)
    files = {name: sha256(tmp_path / name) for name in ("episodes.csv", "evaluations.csv")}
    record = {"status": "complete", "spec": {"seed": 7}, "steps": 500, "files": files}
    (tmp_path / "run.json").write_text(json.dumps(record))
    return tmp_path


def test_a_runs_worth_is_its_endpoint(run):
    assert return_of(run, {"seed": 1}, 7, "evaluation") == 9.5
    assert return_of(run, {"seed": 1}, 7, "final") == 4.0
    curve = np.interp(np.arange(0.5, 500), [100, 250, 400], [1, 4, 7])
    assert return_of(run, {"seed": 1}, 7, "auc") == pytest.approx(curve.mean())
    with pytest.raises(ExportError, match="the run has other settings than the study: seed"):
        return_of(run, {"seed": 1}, 8, "final")
    (run / "evaluations.csv").write_text((run / "evaluations.csv").read_text() + "500,1,0,10,0\n")
    with pytest.raises(ExportError, match="changed since the run wrote it"):
        return_of(run, {"seed": 1}, 7, "evaluation")


def test_runs_are_summed_up_by_their_mean_or_the_mean_of_the_middle_half():
    scores = [1.0, 2.0, 3.0, 100.0]
    assert summed_up(scores, Objective()) == 26.5
    assert summed_up(scores, Objective(over="iqm")) == 2.5
