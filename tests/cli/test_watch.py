import argparse
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from run_files import STUDY, write_run

from active_rlhf.cli import watch as progress
from active_rlhf.run.identity import code_fingerprint
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.settings import Evaluation

NOW = 1_700_000_000.0


@pytest.fixture
def study():
    return load_study("tiny.yaml", data=STUDY)


def directory(results: Path, selector: str, seed: int) -> Path:
    return results / "runs" / "Hopper-v5" / selector / str(seed)


def running(results: Path, selector: str, seed: int, **values) -> None:
    path = directory(results, selector, seed)
    path.mkdir(parents=True, exist_ok=True)
    state = {
        "status": "running",
        "step": 1024,
        "total_steps": 4096,
        "steps_per_second": 512.0,
        "labels": 10,
        "labels_total": 20,
        "last_return": 12.34,
        "started": NOW - 10,
        "updated": NOW,
    }
    (path / "progress.json").write_text(json.dumps(state | values))


def done(study, results: Path, selector: str, seed: int, **changes) -> None:
    spec = resolve_run(study, "Hopper-v5", selector, seed)
    this = spec.model_copy(update=changes)
    write_run(directory(results, selector, seed), this, code_fingerprint(spec))


def test_nothing_begun(study, tmp_path):
    snapshot = progress.Watcher(study, tmp_path).look(NOW)
    assert (snapshot.runs_done, snapshot.runs_total, snapshot.steps_total) == (0, 4, 4 * 4096)
    assert snapshot.running == [] and snapshot.seconds_left is None
    assert progress.summary(snapshot) == (
        "0/4 runs, 0/16,384 steps (0%), 0 going, time left unknown"
    )


def test_totals_and_time_left(study, tmp_path):
    done(study, tmp_path, "random", 3)  # 4096 steps in 2 s
    running(tmp_path, "random", 11)  # 1024 of 4096 steps at 512/s
    snapshot = progress.Watcher(study, tmp_path).look(NOW)
    assert snapshot.runs_done == 1 and snapshot.steps_done == 4096 + 1024
    # A random run costs the mean of 2/4096 and 1/512 s a step; so, for want of better, does any.
    cost = (2 / 4096 + 1 / 512) / 2
    assert snapshot.seconds_left == pytest.approx((3072 + 2 * 4096) * cost)
    assert progress.lines(snapshot) == [
        "1/4 runs, 5,120/16,384 steps (31%), 1 going, time left 14 s",
        "  Hopper-v5 random seed 11: 1,024/4,096 steps, 512/s, labels 10/20, last return 12.3",
    ]


def test_two_runs_at_once_halve_the_time_left(study, tmp_path):
    running(tmp_path, "random", 3)
    alone = progress.Watcher(study, tmp_path).look(NOW).seconds_left
    running(tmp_path, "random", 11)
    both = progress.Watcher(study, tmp_path).look(NOW).seconds_left
    assert alone == pytest.approx((3072 + 3 * 4096) / 512)
    assert both == pytest.approx((2 * 3072 + 2 * 4096) / 512 / 2)


def test_a_watcher_follows_a_run_to_its_end(study, tmp_path):
    watcher = progress.Watcher(study, tmp_path)
    running(tmp_path, "true_reward", 3, last_return=None, labels_total=0)
    assert progress.lines(watcher.look(NOW))[1].endswith("labels -, last return -")
    running(tmp_path, "true_reward", 3, step=2048)
    assert watcher.look(NOW).steps_done == 2048
    done(study, tmp_path, "true_reward", 3)
    snapshot = watcher.look(NOW)
    assert snapshot.running == [] and snapshot.runs_done == 1 and snapshot.steps_done == 4096


def test_a_silent_run_is_not_going_until_it_speaks_again(study, tmp_path):
    watcher = progress.Watcher(study, tmp_path)
    running(tmp_path, "random", 3)
    assert watcher.look(NOW + progress.SILENT_AFTER + 1).running == []
    running(tmp_path, "random", 3, updated=NOW + 200)
    assert len(watcher.look(NOW + 201).running) == 1


def test_a_result_of_other_settings_is_not_done(study, tmp_path):
    done(study, tmp_path, "random", 3, evaluation=Evaluation(every=1, episodes=1))
    assert progress.Watcher(study, tmp_path).look(NOW).runs_done == 0


def test_half_written_files_are_passed_over(study, tmp_path):
    path = directory(tmp_path, "random", 3)
    path.mkdir(parents=True)
    (path / "progress.json").write_text('{"status": "runn')
    (path / "run.json").write_text("")
    assert progress.Watcher(study, tmp_path).look(NOW).steps_done == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown"), (0, "0 s"), (89, "89 s"), (420, "7 min"), (3 * 3600 + 300, "3 h 05 min")],
)
def test_durations(seconds, text):
    assert progress.duration(seconds) == text


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(yaml.safe_dump(STUDY))
    return tmp_path


def watch(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    progress.add_arguments(parser)
    return parser.parse_args(arguments)


def test_a_command_is_watched_to_its_end(workplace, capsys, monkeypatch):
    monkeypatch.setattr(progress, "LOG_EVERY", 0.3)
    script = "import time; print('working'); time.sleep(1.2)"
    running(workplace / "results" / "tiny", "random", 3, updated=time.time())
    code = progress.run(watch("tiny.yaml", "--", sys.executable, "-c", script))
    shown = capsys.readouterr().out
    assert code == 0
    assert shown.count("Hopper-v5 random seed 3: 1,024/4,096 steps") == 1  # unchanged: said once
    assert (workplace / "results/tiny/logs/snakemake.log").read_text() == "working\n"


def test_a_failing_command_shows_the_first_error_of_its_log(workplace, capsys):
    script = (
        "print('a line\\n' * 100 + 'Error: the reason\\n' + 'a line\\n' * 100); raise SystemExit(7)"
    )
    assert progress.run(watch("tiny.yaml", "--", sys.executable, "-c", script)) == 7
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "Error: the reason" and shown[1:-1] == ["a line"] * (progress.LOG_LINES - 1)
    assert shown[-1].endswith("results/tiny/logs/snakemake.log")


def test_a_failing_command_that_says_nothing_of_an_error(workplace, capsys):
    script = "print('first'); print('a line\\n' * 100); raise SystemExit(3)"
    assert progress.run(watch("tiny.yaml", "--", sys.executable, "-c", script)) == 3
    assert "first" not in capsys.readouterr().err


def test_the_terminal_shows_runs_totals_and_what_the_command_says(study, tmp_path):
    running(tmp_path, "random", 11)
    log = tmp_path / "log"
    log.write_text("noise\n7 of 40 steps (18%) done\n[rule]\n  output: [x]\n")
    panel = progress.panel(progress.Watcher(study, tmp_path).look(NOW), progress._jobs(log))
    console = Console(width=120, file=io.StringIO(), force_terminal=False)
    console.print(panel)
    shown = " ".join(console.file.getvalue().split())
    assert "Hopper-v5 random 11 1,024/4,096 512/s 10/20 12.3" in shown
    assert "0/4 runs, 1,024/16,384 steps (6%), 1 going" in shown
    assert shown.endswith("time left 30 s, 7/40 jobs")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command_and_its_children_once(workplace, number):
    child = Path("child.py")
    child.write_text(
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: (print('told', flush=True), sys.exit(5)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = ["watch", "tiny.yaml", "--", sys.executable, str(child)]
    main = f"import sys; from active_rlhf.cli import main; sys.exit(main({command}))"
    process = subprocess.Popen([sys.executable, "-c", main], stderr=subprocess.DEVNULL)
    log = workplace / "results/tiny/logs/snakemake.log"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (log.exists() and "ready" in log.read_text()):
        time.sleep(0.05)
    os.kill(process.pid, number)
    assert process.wait(20) == 5
    assert log.read_text().split() == ["ready", "told"]
