"""Whole studies through Snakemake: what comes out, and what bad input looks like."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from studies import REPOSITORY, Study

from active_rlhf.run.training import train
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.measures import REWARD_MODEL, both_forms

PROMISED = """
    config.yaml provenance.json findings.md statistics/comparisons.csv statistics/summary.parquet
    statistics/summary.csv tables/tables.tex tables/summary.tex tables/Hopper-v5/summary.md
    tables/Hopper-v5/significance_endpoint.tex figures/Hopper-v5/learning_curves.png
    figures/learning_curves.pdf figures/Hopper-v5/effects.pdf
    figures/endpoints.png figures/improvement.png figures/critical_difference.pdf
    exports/Hopper-v5.csv exports/Hopper-v5.evaluations.csv exports/Hopper-v5.sessions.csv
    exports/overhead.csv statistics/overhead.csv tables/Hopper-v5/overhead.tex figures/overhead.png
    figures/reward_accuracy.pdf logs/train/Hopper-v5/random/1.log
    figures/reward_measures.png tables/Hopper-v5/reward_model.md
    figures/Hopper-v5/reward_model_endpoints.png figures/Hopper-v5/reward_model_effects.pdf
    inspection/Hopper-v5.json tables/Hopper-v5/inspection.md tables/Hopper-v5/inspection_states.tex
    figures/Hopper-v5/reward_maps.png figures/Hopper-v5/reward_reliability.pdf
    report/inspection.html figures/Hopper-v5/training_progress.png
"""


def test_a_study_leaves_everything_it_promises(trained):
    results = trained.folder / "results/tiny"
    assert [name for name in PROMISED.split() if not (results / name).is_file()] == []
    assert not list(results.glob("**/.*")), "temporary files were left behind"
    compared = pd.read_csv(results / "statistics/comparisons.csv")["metric_type"]
    assert set(compared) == {"endpoint", "auc", "best", *both_forms(REWARD_MODEL)}


def test_a_study_is_watched(trained):
    lines = trained.stdout.splitlines()
    assert "4/4 runs, 16,384/16,384 steps (100%)" in lines[-1]
    assert "4 of 4" not in trained.stderr
    assert "results/tiny/logs" not in trained.stdout
    log = (trained.folder / "results/tiny/logs/snakemake.log").read_text().splitlines()
    done = re.compile(r"\d+ of \d+ steps done: train Hopper-v5 hybrid 2")
    assert any(map(done.search, log))
    assert len(log) < 90


def test_the_workflow_trains_the_run_that_the_package_trains(trained, tmp_path):
    spec = resolve_run(load_study(trained.folder / "study.yaml"), "Hopper-v5", "random", 2)
    results = trained.folder / "results/tiny"
    train(spec, tmp_path, probe=results / "probes/Hopper-v5.npz")
    directory = results / "runs/Hopper-v5/random/2"
    for name in ("episodes.csv", "evaluations.csv", "sessions.csv"):
        assert (tmp_path / name).read_bytes() == (directory / name).read_bytes()


@pytest.mark.slow
def test_a_study_given_on_the_command_line_replaces_the_demo(tmp_path):
    """Snakemake would merge the two, and the thesis would be trained on the demo's settings."""
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    study = Study(tmp_path)
    thesis = study.command("config/thesis.yaml")
    for command, runs in ((thesis, 160), (thesis[: thesis.index("--configfile")], 36)):
        plan = study.run(*command, "--dry-run", "--quiet", "rules", "--until", "train")
        assert f"train {runs} " in " ".join(plan.stdout.split()), plan.stdout + plan.stderr


def test_every_script_is_named_as_a_rule_and_every_rule_shows_its_code():
    scripts = REPOSITORY / "workflow/scripts"
    names = {path.relative_to(scripts).as_posix() for path in scripts.rglob("*.py")}
    text = "\n".join(file.read_text() for file in (REPOSITORY / "workflow/rules").glob("*.smk"))
    rules = re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    used = {rule: re.findall(r'"\.\./scripts/(\S+)"', body) for rule, body in rules}
    assert {script for found in used.values() for script in found} == names
    for rule, body in rules:
        for script in used[rule]:
            assert Path(script).stem == rule
            assert (f'code=script_code("{script}")' in body) == (rule != "suggest")
