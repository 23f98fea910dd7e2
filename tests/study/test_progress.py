import json

import pytest
from going_runs import NOW, directory, done, running
from run_files import STUDY

from active_rlhf.cli.watch import lines, summary
from active_rlhf.study.loading import load_study
from active_rlhf.study.progress import SILENT_AFTER, Watcher
from active_rlhf.study.settings import Evaluation
from active_rlhf.tuning.choice import Choice, write_choices
from active_rlhf.tuning.records import Result, StageFile, write_stage


@pytest.fixture
def study():
    return load_study("tiny.yaml", data=STUDY)


def test_nothing_begun(study, tmp_path):
    snapshot = Watcher(study, tmp_path).look(NOW)
    assert (snapshot.runs_done, snapshot.runs_total, snapshot.steps_total) == (0, 4, 4 * 4096)
    assert snapshot.running == [] and snapshot.seconds_left is None
    assert summary(snapshot) == ("0/4 runs, 0/16,384 steps (0%), 0 going, time left unknown")


def test_totals_and_time_left(study, tmp_path):
    done(study, tmp_path, "random", 3)  # 4096 steps in 2 s
    running(tmp_path, "random", 11)  # 1024 of 4096 steps at 512/s
    snapshot = Watcher(study, tmp_path).look(NOW)
    assert snapshot.runs_done == 1 and snapshot.steps_done == 4096 + 1024
    # A random run costs the mean of 2/4096 and 1/512 s a step; so, for want of better, does any.
    cost = (2 / 4096 + 1 / 512) / 2
    assert snapshot.seconds_left == pytest.approx((3072 + 2 * 4096) * cost)
    assert lines(snapshot) == [
        "1/4 runs, 5,120/16,384 steps (31%), 1 going, time left 14 s",
        "  Hopper-v5 random seed 11: 1,024/4,096 steps, 512/s, labels 10/20, last return 12.3",
    ]


def test_two_runs_at_once_halve_the_time_left(study, tmp_path):
    running(tmp_path, "random", 3)
    alone = Watcher(study, tmp_path).look(NOW).seconds_left
    running(tmp_path, "random", 11)
    both = Watcher(study, tmp_path).look(NOW).seconds_left
    assert alone == pytest.approx((3072 + 3 * 4096) / 512)
    assert both == pytest.approx((2 * 3072 + 2 * 4096) / 512 / 2)


def test_a_watcher_follows_a_run_to_its_end(study, tmp_path):
    watcher = Watcher(study, tmp_path)
    running(tmp_path, "true_reward", 3, last_return=None, labels_total=0)
    assert lines(watcher.look(NOW))[1].endswith("labels -, last return -")
    running(tmp_path, "true_reward", 3, step=2048)
    assert watcher.look(NOW).steps_done == 2048
    done(study, tmp_path, "true_reward", 3)
    snapshot = watcher.look(NOW)
    assert snapshot.running == [] and snapshot.runs_done == 1 and snapshot.steps_done == 4096


def test_a_run_that_waits_for_people_says_for_how_many(study, tmp_path):
    running(tmp_path, "random", 3, waiting="answers: 3 of 10 are there")
    snapshot = Watcher(study, tmp_path).look(NOW)
    said = "last return 12.3, waiting for answers: 3 of 10 are there"
    assert lines(snapshot)[1].endswith(said)


def test_a_silent_run_does_not_count_as_running_until_it_reports_again(study, tmp_path):
    watcher = Watcher(study, tmp_path)
    running(tmp_path, "random", 3)
    assert watcher.look(NOW + SILENT_AFTER + 1).running == []
    running(tmp_path, "random", 3, updated=NOW + 200)
    assert len(watcher.look(NOW + 201).running) == 1


def test_results_of_other_settings_and_half_written_files_are_passed_over(study, tmp_path):
    done(study, tmp_path, "random", 3, evaluation=Evaluation(every=1, episodes=1))
    path = directory(tmp_path, "random", 11)
    path.mkdir(parents=True)
    (path / "progress.json").write_text('{"status": "runn')
    (path / "run.json").write_text("")
    snapshot = Watcher(study, tmp_path).look(NOW)
    assert (snapshot.runs_done, snapshot.steps_done) == (0, 0)


def test_a_sweeps_trials_come_first_and_then_the_runs_that_test_it(study, tmp_path):
    space = {"agent.epochs": {"low": 1, "high": 9}}
    sweep = {"seeds": [101], "trials": 3, "per_round": 2, "space": space}
    sweep["objective"] = {"endpoint": "final"}
    swept = load_study("tiny.yaml", data=STUDY | {"sweep": sweep})
    watcher = Watcher(swept, tmp_path)
    assert [run.trial for run in watcher.runs[:3]] == [
        *("round-01/trial-000", "round-01/trial-001", "round-02/trial-002")
    ]
    trials = 3 * len(STUDY["selectors"])
    before = watcher.look(NOW)
    assert (before.runs_done, before.runs_total, before.follows) == (0, trials, True)

    folder = tmp_path / "sweep" / "random"
    run = folder / "round-01/trial-001/Hopper-v5/101"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"status": "complete", "wall_s": 2.0}))
    results = [Result(0, 12.5, ()), Result(1, 40.0, ())]
    write_stage(StageFile("round-02", "code", (), results), folder / "round-02.json")
    during = watcher.look(NOW)
    assert during.runs_done == 1 and during.seconds_left == pytest.approx(2.0 * (trials - 1))
    assert summary(during).endswith(", best so far: random 40 (trial 1)")

    own = {"agent.epochs": 1}
    choices = {
        name: Choice(3, 1, 50.0, [1], own, {"best": {"agent.epochs": 4}, "typical": own})
        for name in STUDY["selectors"]
    }
    write_choices("", choices, tmp_path / "sweep/choices.json")
    after = watcher.look(NOW)
    assert after.runs_total == trials + 2 * 4 and not after.follows
    assert {run.selector for run in watcher.runs if not run.trial} == {
        *STUDY["selectors"],
        *(f"{name}@best" for name in STUDY["selectors"]),
    }
    assert "random 50 (trial 1)" in summary(after)
