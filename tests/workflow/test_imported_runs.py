"""A study of runs made elsewhere, from two kinds of files to findings, with Snakemake."""

import shutil
from pathlib import Path

import pytest
import yaml
from results.kinds import made
from studies import Study
from tampering import cell, problems, rehash

from active_rlhf.analysis.files import read_table
from active_rlhf.results.verify import verify

KEYS = ["study", "imported", "methods", "exclude", "scale", "statistics", "figures"]


@pytest.fixture(scope="module")
def analysed(tmp_path_factory) -> Study:
    """A study of two kinds of files."""
    study = Study(tmp_path_factory.mktemp("imported"))
    made("monitors", study.folder / "a")
    made("wandb panel", study.folder / "b")
    config = {
        "study": "others",
        "imported": {
            "Hopper-v5": "a/{method}-{seed}/*.monitor.csv",
            "Ant-v5": {"files": "b/wandb.csv", "runs": "{method}-s{seed}"},
        },
        "methods": {"sac": "SAC", "ppo": "PPO"},
        "scale": {"Ant-v5": {"low": 0, "high": 20}, "Hopper-v5": {"low": 0, "high": 20}},
        "statistics": {"design": "unpaired", "bootstrap": 100},
        "figures": {"formats": []},
    }
    (study.folder / "study.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    done = study.snakemake()
    assert done.returncode == 0, done.stderr
    return study


@pytest.fixture
def study(analysed, tmp_path) -> Study:
    return Study(shutil.copytree(analysed.folder, tmp_path / "study"))


@pytest.mark.slow
def test_a_study_of_two_kinds_of_files(study, monkeypatch):
    results = study.folder / "results/others"
    stored = yaml.safe_load((results / "config.yaml").read_text())
    assert set(stored) <= {*KEYS, "published", "references"}  # nothing of training
    said = (results / "findings.md").read_text()
    assert "Mann-Whitney" in said and "last 10 rows" in said and "true return" not in said
    assert (results / "tables/aggregates.md").exists() and not (results / "runs").exists()
    assert verify(results) == [] and study.plan() == {}
    monkeypatch.chdir(study.folder)
    assert verify(Path("results/others")) == []
    table = study.folder / "b/wandb.csv"
    table.write_text(table.read_text().replace("Step", "global_step", 1))
    assert study.plan()["convert"] == 1
    (message,) = problems(results)["provenance.json"]
    assert "b/wandb.csv has changed since" in message
    table.unlink()
    (message,) = problems(results)["config.yaml"]
    assert "there is no file b/wandb.csv" in message


@pytest.mark.slow
@pytest.mark.parametrize("hashes", ["old hashes", "mended hashes"])
def test_changed_statistics_of_imported_runs_are_named(hashes, study):
    results = study.folder / "results/others"
    cell("p_value", 0.001)(results, "statistics/comparisons.csv")
    if hashes == "mended hashes":
        rehash(results)
    assert "p_value in row 1 is 0.001" in str(problems(results)["statistics/comparisons.csv"])


@pytest.mark.slow
def test_a_study_whose_files_count_labels(tmp_path):
    study = Study(tmp_path)
    _, rows = made("bpref train", tmp_path)
    config = {"study": "others", "imported": {"Hopper-v5": "exp/{method}/seed{seed}/train.csv"}}
    text = yaml.safe_dump(config | {"statistics": {"bootstrap": 100}})
    (tmp_path / "study.yaml").write_text(text)
    goal = "results/others/figures/label_curves.png"
    done = study.snakemake("--cores", "2", goal)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / goal).stat().st_size > 5000
    curves = read_table(tmp_path / "results/others/statistics/label_curves.parquet")
    own = [[r for m, s, _, r in rows if (m, s) == ("sac", seed)] for seed in (1, 7)]
    assert curves["labels"].min() == 0 and curves["labels"].max() == 250
    sac = curves[curves["method"] == "sac"]["mean"]
    assert sac.iloc[0] == pytest.approx(sum(run[0] for run in own) / 2)
    assert sac.iloc[-1] == pytest.approx(sum(sum(run[-10:]) / 10 for run in own) / 2)
