import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from going_runs import NOW, running
from rich.console import Console
from run_files import STUDY

from active_rlhf.cli import main, watch
from active_rlhf.cli.launch import LOG_LINES, jobs
from active_rlhf.study.loading import load_study
from active_rlhf.study.progress import Watcher


@pytest.fixture
def study():
    return load_study("tiny.yaml", data=STUDY)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown"), (0, "0 s"), (89, "89 s"), (420, "7 min"), (3 * 3600 + 300, "3 h 05 min")],
)
def test_durations(seconds, text):
    assert watch.duration(seconds) == text


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(yaml.safe_dump(STUDY))
    return tmp_path


def watched(script: str) -> int:
    """The exit code of watching a Python script as a study's command."""
    return main(["watch", "tiny.yaml", "--", sys.executable, "-c", script])


def test_a_command_is_watched_to_its_end(workplace, capsys, monkeypatch):
    monkeypatch.setattr(watch, "LOG_EVERY", 0.3)
    script = "import time; print('working'); time.sleep(1.2)"
    running(workplace / "results" / "tiny", "random", 3, updated=time.time())
    code = watched(script)
    shown = capsys.readouterr().out
    assert code == 0
    assert shown.count("Hopper-v5 random seed 3: 1,024/4,096 steps") == 1  # unchanged: said once
    assert (workplace / "results/tiny/logs/snakemake.log").read_text() == "working\n"


def test_a_failing_command_shows_the_first_error_of_its_log(workplace, capsys):
    script = (
        "print('a line\\n' * 100 + 'Error: the reason\\n' + 'a line\\n' * 100); raise SystemExit(7)"
    )
    assert watched(script) == 7
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "Error: the reason" and shown[1:-1] == ["a line"] * (LOG_LINES - 1)
    assert shown[-1].endswith("results/tiny/logs/snakemake.log")


def test_a_failing_command_without_an_error_message(workplace, capsys):
    script = "print('first'); print('a line\\n' * 100); raise SystemExit(3)"
    assert watched(script) == 3
    assert "first" not in capsys.readouterr().err


def test_the_terminal_shows_runs_totals_and_what_the_command_says(study, tmp_path):
    running(tmp_path, "random", 11)
    log = tmp_path / "log"
    log.write_text("noise\n7 of 40 steps (18%) done\n[rule]\n  output: [x]\n")
    panel = watch.panel(Watcher(study, tmp_path).look(NOW), jobs(log))
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
    assert process.wait(20) == (130 if number == signal.SIGINT else 5)
    assert log.read_text().split() == ["ready", "told"]
