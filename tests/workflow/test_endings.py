"""How a study ends that ends before its end, and what is made of what is finished."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from studies import REPOSITORY, Study
from tiny_study import ONE_FIGURE

from active_rlhf.cli import main

BROKEN = """
from active_rlhf.parts import score

@score
def broken(pairs):
    raise ValueError("no score today")
"""


def last_lines(result: subprocess.CompletedProcess[str]) -> list[str]:
    """The last paragraph of what a command said."""
    return result.stderr.rstrip().rpartition("\n\n")[2].splitlines()


def beside_the_workflow(study: Study) -> None:
    """Make the study's folder one in which commands find the workflow."""
    for name in ("Makefile", "Snakefile", "profiles", "workflow"):
        if not (study.folder / name).exists():
            (study.folder / name).symlink_to(REPOSITORY / name)


def make(study: Study, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A target of the Makefile, whose environment is the one of the tests."""
    beside_the_workflow(study)
    command = ["make", "-o", ".venv/.ready", "CONFIG=study.yaml", "CORES=2", *arguments]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # As from a shell, also where make runs the tests.
    return study.run("env", "-u", "MAKELEVEL", "-u", "MAKEFLAGS", f"PATH={path}", *command)


@pytest.mark.slow
def test_a_wrong_imported_file_is_named_last_even_if_snakemake_is_quiet(tmp_path):
    (tmp_path / "runs.csv").write_text("exp_name,seed\nHopper-v5__a__1__1,1\n")
    (tmp_path / "study.yaml").write_text("study: tiny\nimported: {Hopper-v5: runs.csv}\n")
    result = Study(tmp_path).snakemake("--quiet", "all")
    assert result.returncode == 1
    todo, reason = last_lines(result)
    assert "job convert Hopper-v5 failed" in todo and "run the same command again" in todo
    said = "which column is the step? Say `columns: {step: ...}`; it has exp_name, seed"
    assert reason == f"error: runs.csv: {said}"


def test_make_names_the_runs_that_a_study_lacks(study, tmp_path):
    """`make figures` too, which is the first thing that `make report` does."""
    never = Study(tmp_path)
    never.configure()
    study.configure(seeds=[1, 2, 3])
    for folder, said in (
        (never, "none of the 4 runs is finished; `make demo CONFIG=study.yaml` trains"),
        (study, "2 of 6 runs are not finished (Hopper-v5 random 3, Hopper-v5 hybrid 3)"),
    ):
        result = make(folder, "report")
        *_, line, makes_own = result.stderr.splitlines()
        assert result.returncode == 2 and makes_own.startswith("make: ***")
        assert line.startswith("error: results/tiny: ") and said in line


def test_ctrl_c_leaves_a_line_that_says_how_far_the_study_is(study):
    study.configure(seeds=[1, 2, 3, 4, 5])
    process = study.start()
    runs = study.folder / "results/tiny/runs/Hopper-v5"
    while not list(runs.glob("*/3/run.json")) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate()
    done = len(list(runs.glob("*/*/run.json")))
    assert process.returncode == 1 and 5 <= done < 10
    assert not re.search("failed|Exception|Error", said)
    assert said.splitlines()[-1] == (
        f"stopped by the user: {done} of 10 runs are done. The same command goes on from there."
    )


def test_a_partial_study_is_made_of_what_is_finished_and_says_so(study, capsys, monkeypatch):
    """Of Hopper-v5 two seeds of random and one of hybrid; none of duo, HalfCheetah, baselines.

    First its pages, then its report.
    """
    (study.folder / "results/tiny/runs/Hopper-v5/hybrid/2/run.json").unlink()
    study.configure(
        seeds=[1, 2, 3],
        selectors=["random", "hybrid", "duo"],
        environments=["HalfCheetah-v5", "Hopper-v5"],
        baselines=True,
        **ONE_FIGURE,
    )
    beside_the_workflow(study)
    results = study.folder / "results/tiny"
    result = study.run("active-rlhf", "page", "study.yaml")
    assert (result.stdout, result.stderr) == (
        "results/tiny/index.html\n",
        "3 of 30 runs are finished\n",
    )
    for page in ("index", "site/compare", "site/runs", "site/behaviour/Hopper-v5"):
        text = (results / f"{page}.html").read_text()
        assert "This study is not finished: 3 of 30 runs are finished" in text
    home = (results / "index.html").read_text()
    assert re.search(r"<td[^>]*>1 of 3</td>", home)  # of the table of what is there
    result = make(study, "report", "PARTIAL=1")
    assert result.returncode == 0, result.stderr
    said = "Partial study: 3 of 30 runs are finished, none on HalfCheetah-v5, too few baselines"
    names = ["summary", "overhead", "significance_auc", "Hopper-v5/ledger"]
    for text in [results / "findings.md", *(results / f"tables/{name}.md" for name in names)]:
        assert said in text.read_text()
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in (results / "tables/coverage.md").read_text().splitlines()
        if line.startswith("| H")
    ]
    assert len(rows) == 10
    assert ["Hopper-v5", "random", "2 of 3", "3"] in rows
    assert ["Hopper-v5", "hybrid", "1 of 3", "2, 3"] in rows
    assert ["HalfCheetah-v5", "duo", "0 of 3", "1, 2, 3"] in rows
    comparisons = pd.read_csv(results / "statistics/comparisons.csv")
    assert set(comparisons["env"]) == {"Hopper-v5"} and set(comparisons["n"]) == {1}
    summary = pd.read_csv(results / "statistics/summary.csv").groupby("method")["n"].unique()
    assert {name: list(n) for name, n in summary.items()} == {"random": [2], "hybrid": [1]}
    assert f"A {said[0].lower()}{said[1:]}" in (results / "report.html").read_text()
    assert not (results / "tables/HalfCheetah-v5").exists()
    monkeypatch.chdir(study.folder)
    assert main(["verify", "results/tiny"]) == 0, capsys.readouterr().out
    shutil.rmtree(results / "runs")
    assert main(["page", "study.yaml"]) == 2
    assert "none of the 30 runs is finished" in capsys.readouterr().err


def test_where_training_fails_the_rest_is_made_only_if_the_study_says_so(study):
    (study.folder / "parts.py").write_text(BROKEN)
    changes = {"selectors": {"random": {}, "bad": {"score": "broken", "picker": "top"}}}
    changes |= ONE_FIGURE
    coverage = study.folder / "results/tiny/tables/coverage.md"
    for partial in (False, True):
        study.configure(parts=["parts.py"], partial=partial, **changes)
        result = study.snakemake()
        assert result.returncode == 1
        todo, *reasons = last_lines(result)
        assert todo.startswith("2 jobs failed. 2 of 4 runs are done. ")
        assert len(reasons) == 2 and all("no score today" in line for line in reasons)
        assert coverage.exists() == partial
    assert "bad | 0 of 2 | 1, 2 |" in coverage.read_text()
    assert Image.open(study.folder / "results/tiny/figures/effects.png").size[0] > 0
