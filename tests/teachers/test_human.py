"""People as the teacher of a run: here a person is a thread at the run's desk."""

from contextlib import ExitStack

import numpy as np
import pandas as pd
import pytest
from people import person, spec

from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.run.training import Stopped, train


@pytest.mark.slow
def test_a_run_waits_for_people_and_learns_what_they_said(tmp_path):
    with person(tmp_path):
        train(spec(), tmp_path)
    with np.load(tmp_path / "labels.npz") as labels:
        first, second = labels["returns"].T
        np.testing.assert_array_equal(labels["preferences"] == 1, first > second)
        assert (labels["answered_at"] > 0).all()
    said = pd.read_csv(tmp_path / "answers.csv")
    asked = said[said.purpose == "query"]
    assert sorted(asked.ticket) == list(range(30)) and (asked.taken_step > 0).all()
    assert {"gold", "practice"} <= set(said.purpose)
    seen = pd.read_csv(tmp_path / "sessions.csv")
    assert seen[["first", "second"]].sum().sum() == 30 and (seen.pending == 0).all()


def test_with_none_it_goes_on_and_learns_from_late_answers_between_sessions(tmp_path):
    late = spec(wait="none", retrain_after=3)
    with person(tmp_path / "run"):
        train(late, tmp_path / "run")
    seen = pd.read_csv(tmp_path / "run" / "sessions.csv")
    ledger = Ledger.load(tmp_path / "run" / "labels.npz")
    assert seen.asked.sum() == ledger.asked == 30
    answered = seen[["first", "second", "equal", "skipped"]].sum().sum()
    assert answered == 30 - ledger.pending


@pytest.mark.slow
@pytest.mark.parametrize("on_timeout", ["go_on", "stop"])
def test_when_time_runs_out_it_goes_on_or_stops(tmp_path, on_timeout):
    impatient = spec(timeout="0.3s", on_timeout=on_timeout)
    if on_timeout == "stop":
        with pytest.raises(
            Stopped, match=r"6 answers did not come within 0\.3s; the same command goes"
        ):
            train(impatient, tmp_path)
    else:
        train(impatient, tmp_path)
        assert Ledger.load(tmp_path / "labels.npz").pending == 30


@pytest.mark.slow
@pytest.mark.parametrize("combine", ["first", "weighted"])
def test_several_people_answer_what_is_theirs_to_share(tmp_path, combine):
    """Two of three are right; the third takes the left of what they share with the others."""
    right = {"Ada", "Bo"}
    asked = spec(combine=combine, overlap={"people": 3, "share": 1.0}, practice=0)
    with ExitStack() as people:
        for name in ("Ada", "Bo"):
            people.enter_context(person(tmp_path, name))
        people.enter_context(person(tmp_path, "Cy", lambda left, right: "left"))
        train(asked, tmp_path)
    said = pd.read_csv(tmp_path / "answers.csv").query("purpose == 'query'")
    assert said.groupby("ticket").annotator.nunique().eq(3).all()
    with np.load(tmp_path / "labels.npz") as labels:
        first, second = labels["returns"].T
        agree = labels["preferences"] == (first > second)
        confidence = labels["confidences"]
    if combine == "first":
        by = said.sort_values("answered_at", kind="stable").groupby("ticket").first()
        np.testing.assert_array_equal(agree | ~by.annotator.isin(right), True)
        assert (confidence == 1).all()
    else:
        assert agree.all() and (confidence > 0.5).all()
