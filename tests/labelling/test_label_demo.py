"""`make label-demo`, with a person played by the test: from the page to a policy that runs."""

import os
import random
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from at_the_page import Person, person
from serving import ROOT, free_port, listens

from active_rlhf.study.loading import load_study, resolve_run

MISTAKES, CANNOT_JUDGE, CLOSE = 0.05, 0.03, 0.15  # shares, and metres


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in which `make label-demo` works as it does in the repository."""
    for name in ("Makefile", "config", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@contextmanager
def label_demo(place: Path, port: int) -> Any:
    process = subprocess.Popen(
        ["make", "-o", ".venv/.ready", "label-demo", f"PORT={port}"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def answer_as_a_person_would(at: Person, chance: random.Random) -> None:
    """By how far the robots get in the clips' data, but for mistakes."""
    left, right = at.moved()
    if chance.random() < CANNOT_JUDGE:
        key = "ArrowDown"
    elif abs(left - right) < CLOSE:
        key = "ArrowUp"
    else:
        key = "ArrowLeft" if (left > right) != (chance.random() < MISTAKES) else "ArrowRight"
    at.page.keyboard.press(key)


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="set up by `make venv` only")
def test_a_person_teaches_a_cheetah_to_run(place, chromium):
    port, chance = free_port(), random.Random(1)
    with label_demo(place, port) as process:
        while not listens(port):
            assert process.poll() is None, process.stdout.read()
        with person(chromium, port) as ada:
            while process.poll() is None:
                try:
                    if ada.pair and ada.page.is_visible("#answers"):
                        answer_as_a_person_would(ada, chance)
                    elif ada.page.is_visible("#feedback"):
                        ada.page.keyboard.press("Enter")
                except Exception:
                    if process.poll() is None:
                        raise
                ada.page.wait_for_timeout(250)
        output = process.communicate()[0]
    assert process.returncode == 0, output
    results = place / "results/label_demo"
    assert "Finished. Everything is in results/label_demo" in output
    run = results / "runs/HalfCheetah-v5/random/1"
    asked = pd.read_csv(run / "sessions.csv")
    assert asked["probe_accuracy"].iloc[-1] > 0.75
    with np.load(run / "labels.npz") as labels:
        assert len(labels["preferences"]) == 60 and (labels["answered_at"] >= 0).sum() >= 48
    returns = pd.read_csv(run / "episodes.csv")["return"]
    assert returns.tail(20).mean() > returns.head(20).mean() + 100


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="set up by `make venv` only")
def test_ctrl_c_ends_it_and_the_same_command_goes_on(place):
    port = free_port()
    for _ in range(2):
        with label_demo(place, port) as process:
            log = place / "results/label_demo/logs/label.log"
            while not (log.is_file() and log.stat().st_size):
                assert process.poll() is None, process.stdout.read()
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate(timeout=120)
        assert process.returncode in (0, -signal.SIGINT)  # make ends as it was told to, or well
        assert "the same command goes on" in output
        log.unlink()
        assert "Traceback" not in output and not listens(port)


def blocks(language: str) -> list[str]:
    text = (ROOT / "docs/labelling.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_settings_and_commands_of_the_guide_are_as_it_says(place):
    [settings] = blocks("yaml")
    study = yaml.safe_load((ROOT / "config/label_demo.yaml").read_text()) | yaml.safe_load(settings)
    spec = resolve_run(load_study("guide.yaml", data=study), "HalfCheetah-v5", "random", 1)
    assert spec.teacher.name == "human" and spec.teacher.settings["combine"] == "weighted"
    commands = [line for block in blocks("bash") for line in block.splitlines()]
    served = [line for line in commands if line.startswith("active-rlhf label")]
    assert set(commands) - set(served) == {
        "make label-demo",  # tested above; and a study by Snakemake elsewhere
        "snakemake --profile profiles/local --configfile config/label_demo.yaml",
    }
    for line in [*served, "active-rlhf label config/label_demo.yaml --host 0.0.0.0"]:
        assert line in (ROOT / "docs/labelling.md").read_text()
        process = subprocess.Popen(
            [sys.executable, "-m", "active_rlhf.cli", *line.split()[1:], "--port", "0"],
            cwd=place,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.PIPE,
            text=True,
        )
        said = process.stdout.readline()
        assert said.startswith("People answer at http://") and ("#token=" in said) == (
            "0.0.0.0" in line
        )
        process.terminate()
        assert process.wait(30) == 0
