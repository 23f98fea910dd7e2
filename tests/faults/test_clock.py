"""Clocks that jump: results do not depend on the time."""

import itertools
import json
import os
import random
import time
from pathlib import Path

import pytest
from run_files import STUDY, assert_same_results

from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_study, resolve_run

DAY = 86_400.0
STEPS = {"total_steps": 2048, "agent": {"rollout_steps": 256, "epochs": 1, "minibatches": 4}}


def spec() -> dict:
    study = STUDY | STEPS | {"reward_model": {"hidden": [8, 8]}, "evaluation": {"episodes": 1}}
    return resolve_run(load_study("clock.yaml", data=study), "Hopper-v5", "random", 3)


def jumping(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the wall clock shows a different day at every look, ahead or behind."""
    chance, true = random.Random(0), time.time
    monkeypatch.setattr(time, "time", lambda: true() + chance.choice([-1000, -1, 0, 1, 1000]) * DAY)


def test_a_run_under_a_jumping_clock_is_the_same_and_its_costs_are_right(tmp_path, monkeypatch):
    train(spec(), tmp_path / "steady")
    jumping(monkeypatch)
    begun = time.monotonic()
    run = tmp_path / "jumping"
    looks = itertools.count()
    with pytest.raises(Stopped):
        train(spec(), run, checkpoint_every=0.05, stopping=lambda: next(looks) == 5)
    progress = json.loads((run / "progress.json").read_text())
    train(spec(), run, checkpoint_every=0.05)
    took = time.monotonic() - begun
    assert_same_results(run, tmp_path / "steady")
    result = json.loads((run / "run.json").read_text())
    assert result["resumed"] == 1 and 0 < result["wall_s"] <= took
    assert all(0 <= seconds <= took for seconds in result["seconds"].values())
    assert 0 < progress["steps_per_second"] < 1e6


def test_files_from_any_time_are_those_of_the_run(tmp_path: Path):
    """Checkpoints are identified by their content, not by their time."""
    train(spec(), tmp_path / "steady")
    run, looks = tmp_path / "moved", itertools.count()
    with pytest.raises(Stopped):
        train(spec(), run, checkpoint_every=1e-3, stopping=lambda: next(looks) == 5)
    for i, path in enumerate(sorted(run.rglob("*"))):
        os.utime(path, (time.time() + (-1) ** i * 1000 * DAY,) * 2)
    train(spec(), run)
    assert_same_results(run, tmp_path / "steady")
    assert json.loads((run / "run.json").read_text())["resumed"] == 1
