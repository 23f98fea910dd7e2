"""A study whose teacher is people: what is made of their answers, and a study that repeats them."""

from contextlib import ExitStack

import pandas as pd
import pytest
from people import person
from studies import Study
from tiny_study import ONE_FIGURE

from active_rlhf.cli import main

PEOPLE = {"name": "human", "practice": 1, "overlap": {"people": 2, "share": 0.5}}
SMALL = {"seeds": [1], "selectors": ["random", "duo"], "total_steps": 2048} | ONE_FIGURE
RUNS = ["random/1", "duo/1"]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    study = Study(tmp_path_factory.mktemp("people"))
    study.configure(**SMALL, teacher=PEOPLE)
    with ExitStack() as people:
        for run in RUNS:
            for name in ("Ada", "Bo"):
                folder = study.folder / "results/tiny/runs/Hopper-v5" / run
                people.enter_context(person(folder, name))
        done = study.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return study


@pytest.mark.slow
def test_their_quality_is_in_the_results_and_the_report(study, monkeypatch, capsys):
    monkeypatch.chdir(study.folder)
    results = study.folder / "results/tiny"
    made = pd.read_csv(results / "labels/quality.csv")
    assert set(made["annotator"].dropna()) == {"Ada", "Bo"}
    assert made.query("measure == 'true_return'")["value"].eq(1).all()
    page = (results / "report/tables/all.html").read_text()
    assert "Ada" in page and "Krippendorff" in page
    assert main(["verify", str(results)]) == 0, capsys.readouterr().out
    before = (results / "labels/quality.csv").read_bytes()
    assert main(["quality", "study.yaml"]) == 0
    assert "| Ada |" in capsys.readouterr().out
    assert (results / "labels/quality.csv").read_bytes() == before
    assert study.plan() == {}


@pytest.mark.slow
def test_the_study_is_repeated_without_them(study, monkeypatch, capsys):
    monkeypatch.chdir(study.folder)
    assert main(["labels", "study.yaml", "--out", "people.jsonl"]) == 0
    study.configure(**SMALL, study="again", teacher={"name": "recorded", "labels": "people.jsonl"})
    done = study.snakemake("--until", "train")
    assert done.returncode == 0, done.stdout + done.stderr
    for run in RUNS:
        first, again = (
            study.folder / "results" / name / "runs/Hopper-v5" / run / "policy.safetensors"
            for name in ("tiny", "again")
        )
        assert first.read_bytes() == again.read_bytes()
    assert "quality" not in study.plan()
