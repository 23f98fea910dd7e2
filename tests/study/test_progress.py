import pytest
from going_runs import NOW, directory, done, running
from run_files import STUDY

from active_rlhf.cli.watch import lines, summary
from active_rlhf.study.loading import load_study
from active_rlhf.study.progress import SILENT_AFTER, Watcher
from active_rlhf.study.settings import Evaluation


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
