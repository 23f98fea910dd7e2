"""People as the teacher of a run: here a person is a thread at the run's desk."""

import threading
import time
from contextlib import contextmanager, suppress

import numpy as np
import pandas as pd
import pytest
from run_files import assert_same_results

from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.labelling.desk import Desk, Given
from active_rlhf.labelling.queue import FILE, QueueError, table
from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_study, resolve_run

SMALL = {
    "study": "small",
    "seeds": [1],
    "environments": ["Reacher-v5"],
    "selectors": ["random"],
    "total_steps": 24 * 64,
    "agent": {"rollout_steps": 64, "epochs": 1, "minibatches": 4},
    "labels": {"total": 30, "initial": 6, "sessions": 6, "segment_length": 5, "oversampling": 4},
    "reward_model": {"hidden": [8, 8], "epochs": 1},
    "evaluation": {"every": 1536, "episodes": 1},
}


def spec(**teacher):
    data = SMALL | {"teacher": {"name": "human", **teacher}}
    return resolve_run(load_study("small.yaml", data=data), "Reacher-v5", "random", 1)


@contextmanager
def person(folder, name="Ada", answer=lambda left, right: "left" if left > right else "right"):
    """Answers what is on the desk, at once, until the end of the block."""
    stop, given = threading.Event(), []

    def work():
        desk = None
        while not stop.is_set():
            try:
                desk = desk or Desk(folder)
            except QueueError:
                time.sleep(0.02)
                continue
            shown = desk.next(name, 3)
            for showing in shown:
                returns = _returns(folder, showing)
                one = Given(f"{name}-{len(given)}", showing.id, answer(*returns), 1.5)
                given.append(one)
                desk.record(name, [one])
            if not shown:
                time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield given
    finally:
        stop.set()
        thread.join()


def _returns(folder, showing):
    """The true returns of what is on the left and on the right."""
    [row] = table(
        folder / FILE,
        "SELECT q.first_return, q.second_return, s.mirrored FROM showings s "
        "JOIN queries q ON q.id = s.query WHERE s.id = ?",
        showing.id,
    )
    both = row["first_return"], row["second_return"]
    return both[::-1] if row["mirrored"] else both


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


def test_killed_and_resumed_it_asks_nothing_twice_and_ends_with_the_same_bytes(tmp_path):
    """Each process stops at its third look, some while waiting; people answer in between."""
    with person(tmp_path / "cut") as given:
        for _ in range(9):
            looks = iter([False] * 5)
            with suppress(Stopped):
                train(spec(), tmp_path / "cut", stopping=lambda: next(looks, True))  # noqa: B023
        train(spec(), tmp_path / "cut")
    asked = table(tmp_path / "cut" / FILE, "SELECT * FROM queries WHERE purpose = 'query'")
    assert [row["ticket"] for row in asked] == list(range(30))
    assert len({row["digest"] for row in asked}) == 30
    assert len(table(tmp_path / "cut" / FILE, "SELECT id FROM answers")) == len(given)
    with person(tmp_path / "whole"):
        train(spec(), tmp_path / "whole")
    assert_same_results(tmp_path / "cut", tmp_path / "whole")


def test_with_none_it_goes_on_and_learns_from_late_answers_between_sessions(tmp_path):
    late = spec(wait="none", retrain_after=3)
    with person(tmp_path / "run"):
        train(late, tmp_path / "run")
    seen = pd.read_csv(tmp_path / "run" / "sessions.csv")
    ledger = Ledger.load(tmp_path / "run" / "labels.npz")
    assert seen.asked.sum() == ledger.asked == 30
    answered = seen[["first", "second", "equal", "skipped"]].sum().sum()
    assert answered == 30 - ledger.pending


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
