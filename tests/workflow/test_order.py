"""Which runs of a study are trained, and in what order."""

import signal
import time

import pandas as pd
import pytest
import yaml
from studies import REPOSITORY, Study

from active_rlhf.results.verify import verify

RUNS = "results/tiny/runs"
OUT = {"env": "Hopper-v5", "method": "PPO", "seed": 3, "reason": "the node was shared"}


@pytest.mark.slow
def test_a_study_that_is_stopped_has_whole_seeds_and_none_of_what_it_excludes(tmp_path):
    study, names = Study(tmp_path), ["random", "true_reward"]
    given = {"selectors": names, "methods": {"true_reward": "PPO"}, "exclude": [OUT]}
    study.configure(seeds=[7, 3, 5], **given)
    process = study.start("--cores", "1")
    runs = tmp_path / RUNS / "Hopper-v5"
    while len(list(runs.glob("*/*/run.json"))) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)  # the run that is going on is finished
    said, _ = process.communicate()
    order = [f"{name}/{seed}" for seed in (7, 3, 5) for name in names]
    order.remove("true_reward/3")
    done = [run for run in order if (runs / run / "run.json").exists()]
    assert 2 <= len(done) < len(order) and done == order[: len(done)], said

    result = study.snakemake("--until", "findings", "summary", "costs")
    assert result.returncode == 0, result.stderr
    assert not (runs / "true_reward/3").exists()
    assert "train" not in study.plan()
    results = tmp_path / "results/tiny"
    summary = pd.read_csv(results / "statistics/summary.csv").set_index(["metric_type", "env"])
    assert summary.loc[("endpoint", "Hopper-v5"), "n"].tolist() == [3, 2]
    for page in ("findings.md", "tables/summary.md", "tables/overhead.md"):
        said = (results / page).read_text()
        assert "PPO seed 3 on Hopper-v5 (the node was shared)" in said, page


def test_runs_that_exist_are_left_alone_when_they_are_excluded(study):
    run = study.folder / RUNS / "Hopper-v5/hybrid/2"
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    study.configure(exclude=[OUT | {"method": "hybrid", "seed": 2}])
    assert "train" not in study.plan()
    assert study.snakemake("--until", "export", "config").returncode == 0
    assert before == {path: path.stat().st_mtime_ns for path in run.iterdir()}
    names = pd.read_csv(study.folder / "results/tiny/exports/Hopper-v5.csv")["exp_name"]
    assert names.str.rsplit("__", n=1).str[0].nunique() == 3
    notes = {finding.path: finding.message for finding in verify(study.folder / "results/tiny")}
    assert notes["runs/Hopper-v5/hybrid/2"] == "a run that the config excludes; nothing uses it"


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_no_profile_undoes_the_order(name):
    """A subsample of the ready jobs is drawn at random; groups must not mix seeds."""
    profile = yaml.safe_load((REPOSITORY / f"profiles/{name}/config.yaml").read_text())
    assert profile["scheduler"] == "greedy" and "scheduler-subsample" not in profile
    assert profile.get("groups", {}) == ({"train": "train{seed}"} if name == "slurm" else {})
