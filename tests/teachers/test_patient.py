"""A teacher that takes its time: its answers count when they arrive, whatever happens meanwhile."""

import json

import numpy as np
import pandas as pd
import pytest
from run_files import assert_same_results
from tiny_study import small

from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.parts import PartError, registry, teacher
from active_rlhf.results.verify.consistency import faults
from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.settings import Choice
from active_rlhf.teachers import Answers

SMALL = small(
    environments=["Pendulum-v1"],
    selectors=["duo"],
    total_steps=24 * 64,
    agent={"epochs": 1},
    labels={"total": 30, "initial": 6, "sessions": 6, "first_after": 0.2},
    reward_model={"hidden": [8, 8]},
    evaluation={"every": 1536},
)


class Late:
    """Answers by true return, every question in the session after the one that asked it."""

    def __init__(self):
        self.waiting, self.ready = [], []

    def ask(self, tickets, question, history, generator):
        self.ready, self.waiting = self.waiting, []
        first, second = question.rewards.sum(-1).T
        for ticket, preference in zip(tickets, first > second, strict=True):
            self.waiting.append([int(ticket), float(preference)])

    def collect(self):
        ready, self.ready = self.ready[::-1], []  # in no particular order
        if not ready:
            return []
        tickets, preferences = map(np.array, zip(*ready, strict=True))
        return [(tickets, Answers(preferences, np.ones(len(ready))))]

    def state_dict(self):
        return {"waiting": self.waiting}

    def load_state_dict(self, state):
        self.waiting = [list(item) for item in state["waiting"]]


@pytest.fixture
def spec():
    """A run of the late teacher, which is known for the time of a test."""
    made = resolve_run(load_study("small.yaml", data=SMALL), "Pendulum-v1", "duo", 1)
    teacher(Late)  # after the study, which knows the parts it names and no others
    yield made.model_copy(update={"teacher": Choice(name="late")})
    registry.forget_outside()


def test_late_answers_count_from_the_session_they_arrive_in(tmp_path, spec):
    train(spec, tmp_path)
    ledger = Ledger.load(tmp_path / "labels.npz")
    sessions = ledger.column("sessions")
    last = sessions == sessions.max()
    assert ledger.asked == 30 and ledger.pending == last.sum() > 0
    came = ledger.column("answered_at")
    np.testing.assert_array_equal(came >= 0, ~last)
    with np.load(tmp_path / "labels.npz") as file:
        assert np.isnan(file["preferences"][last]).all()
    seen = pd.read_csv(tmp_path / "sessions.csv")
    assert (seen.pending == seen.asked).all()
    arrived = (seen["first"] + seen["second"]).to_list()
    assert arrived == [0, *seen.asked[:-1]] and seen.used.sum() < sum(arrived)
    result = json.loads((tmp_path / "run.json").read_text())
    assert not list(faults(tmp_path, spec, result))
    assert np.isnan(seen.train_accuracy[0]) and seen.train_accuracy[1:].notna().all()


def test_a_late_teacher_killed_and_resumed_gives_the_same_bytes(tmp_path, spec):
    train(spec, tmp_path / "whole")
    for _ in range(3):
        looks = iter([False] * 6)
        with pytest.raises(Stopped):
            train(spec, tmp_path / "cut", stopping=lambda: next(looks, True))  # noqa: B023
    train(spec, tmp_path / "cut")
    assert_same_results(tmp_path / "cut", tmp_path / "whole")


def test_a_teacher_that_could_not_be_resumed_is_refused(spec):
    from active_rlhf.run.loop import Run

    registry.forget_outside()
    teacher(type("Late", (), {"ask": Late.ask, "collect": Late.collect}))
    with pytest.raises(PartError, match=r"late .*has collect, so it needs state_dict"):
        Run(spec)
