"""A study that tunes its selectors, then compares default and tuned settings on fresh seeds."""

import json
import os
import re
import shutil
import signal
import time

import optuna
import pandas as pd
import pytest
import yaml
from studies import Study
from tiny_study import ONE_FIGURE

from active_rlhf.cli import main
from active_rlhf.results.verify import PROBLEM, verify

pytestmark = pytest.mark.slow

SWEEP = {
    "seeds": [101, 102],
    "trials": 4,
    "per_round": 2,
    "halving": [{"seeds": 1}, {"seeds": 2}],
    "space": {
        "reward_model.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
        "selection.picker.beta": {"low": 0.1, "high": 0.9, "selectors": ["hybrid"]},
    },
}
CHANGES = {
    "seeds": [1],
    "evaluation": {"every": 4096, "episodes": 10},
    "statistics": {"bootstrap": 200},
    **ONE_FIGURE,
    "sweep": SWEEP,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Study:
    """The study, killed once in the middle of a round, and run again to its end."""
    study = Study(tmp_path_factory.mktemp("sweep"))
    study.configure(**CHANGES)
    process = study.start()
    folder = study.folder / "results/tiny/sweep"
    while not list(folder.glob("*/round-02/*/*/*/progress.json")) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # Policies, since Snakemake makes run.json again if it did not see its job end.
    trained = [path.with_name("policy.safetensors") for path in folder.rglob("finished.json")]
    study.runs_before = {path: path.stat().st_mtime_ns for path in trained}
    study.run(*study.command(), "--unlock")
    ended = study.snakemake()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return study


@pytest.fixture
def swept(finished, tmp_path) -> Study:
    shutil.copytree(finished.folder, tmp_path / "study")
    return Study(tmp_path / "study")


def sweep_files(study: Study) -> dict[str, bytes]:
    folder = study.folder / "results/tiny/sweep"
    return {path.name: path.read_bytes() for path in folder.glob("*/*.json")} | {
        "choices": (folder / "choices.json").read_bytes()
    }


def test_default_and_tuned_settings_are_compared_on_fresh_seeds(finished):
    results = finished.folder / "results/tiny"
    assert finished.runs_before, "it was killed before it had done anything"
    for path, modified in finished.runs_before.items():
        assert path.stat().st_mtime_ns == modified, f"{path} was trained again after a kill"
    trials = pd.read_csv(results / "sweep/trials.csv")
    assert trials.groupby("selector").size().to_dict() == {"hybrid": 4, "random": 4}
    assert not list(results.glob("sweep/**/probe*")), "a trial made a probe set for nothing"
    runs = pd.read_csv(results / "sweep/runs.csv")
    assert set(runs["seed"]) == {101, 102} and len(runs) == 2 * 2 * 3
    choices = json.loads((results / "sweep/choices.json").read_text())["selectors"]
    config = yaml.safe_load((results / "config.yaml").read_text())
    assert next(iter(config["variants"])) == "default" and "best" in config["variants"]
    for selector, choice in choices.items():
        own = trials[(trials["selector"] == selector) & trials["complete"]]
        assert choice["best"] == own.loc[own["value"].idxmax(), "trial"]
        record = results / f"runs/Hopper-v5/{selector}@best/1/run.json"
        spec = json.loads(record.read_text())["spec"]
        rate = choice["values"]["best"]["reward_model.learning_rate"]
        assert spec["reward_model"]["learning_rate"] == rate
    compared = pd.read_csv(results / "statistics/variants.csv")
    assert {"random", "hybrid"} <= set(compared["selector"])
    backend = optuna.storages.journal.JournalFileBackend(str(results / "sweep/journal.log"))
    storage = optuna.storages.JournalStorage(backend)
    assert optuna.get_all_study_names(storage) == ["tiny/random", "tiny/hybrid"]
    assert finished.plan() == {}


def test_a_choice_or_a_result_that_its_runs_do_not_give_is_found(swept):
    results = swept.folder / "results/tiny"
    stage, choices = (results / "sweep" / name for name in ("hybrid/round-02.json", "choices.json"))
    stage.write_text(re.sub(r'("value": )\S+', r"\g<1>9e9", stage.read_text(), count=1))
    changed = json.loads(choices.read_text())
    changed["selectors"]["random"]["best"] += 1
    choices.write_text(json.dumps(changed))
    found = {one.path: one.message for one in verify(results) if one.level == PROBLEM}
    assert "holds other results than the runs" in found["sweep/hybrid/round-02.json"]
    assert "random: is not what its trials lead to" in found["sweep/choices.json"]


def test_what_it_came_to_is_told_and_the_settings_are_ready(finished, capsys):
    results = finished.folder / "results/tiny"
    sound = main(["verify", str(results)])
    assert (sound, capsys.readouterr().out) == (0, f"{results}: sound\n")
    outcome = pd.read_csv(results / "sweep/outcome.csv")
    compared = pd.read_csv(results / "statistics/variants.csv")
    best = outcome[(outcome["settings"] == "best") & (outcome["metric_type"] == "endpoint")]
    own = compared[(compared["method_a"] == "best") & (compared["metric_type"] == "endpoint")]
    assert list(best["hodges_lehmann"]) == list(own["hodges_lehmann"]) and len(best) == 2
    assert "2 tuning seeds each" in (results / "tables/tuning.md").read_text()
    for page in ("findings.md", "index.html", "site/tuning.html"):
        text = (results / page).read_text()
        assert "optimistic, as the largest of 4 values" in text, page
    assert "site/tuning.html" in (results / "site/compare.html").read_text()
    record = json.loads((results / "runs/Hopper-v5/hybrid@best/1/run.json").read_text())["spec"]
    ready = yaml.safe_load((results / "sweep/tuned/hybrid/best/Hopper-v5.yaml").read_text())
    assert ready["selectors"]["hybrid"]["picker"]["beta"] == record["selection"]["picker"]["beta"]
    rate = ready["reward_model"]["learning_rate"]
    assert rate == record["reward_model"]["learning_rate"]


def test_a_deleted_run_of_a_trial_comes_back_and_changes_nothing(swept):
    before = sweep_files(swept)
    deleted = next(swept.folder.glob("results/tiny/sweep/hybrid/round-01/*/Hopper-v5/101"))
    shutil.rmtree(deleted)
    ended = swept.snakemake("--until", "choose")
    assert ended.returncode == 0, ended.stderr
    assert (deleted / "run.json").exists() and sweep_files(swept) == before
    assert "train" not in swept.plan()


def test_more_trials_go_on_from_those_there_are(swept):
    folder = swept.folder / "results/tiny/sweep"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("run.json")}
    stages = sweep_files(swept)
    swept.configure(**CHANGES | {"sweep": SWEEP | {"trials": 5}})
    ended = swept.snakemake("--until", "choose")
    assert ended.returncode == 0, ended.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    after = sweep_files(swept)
    assert {name: after[name] for name in stages if name != "choices"} == {
        name: content for name, content in stages.items() if name != "choices"
    }
    assert len(pd.read_csv(folder / "trials.csv")) == 10
    assert swept.plan("--until", "choose") == {}


def test_trials_of_another_version_of_the_code_are_not_mixed_with_new_ones(swept):
    stage = swept.folder / "results/tiny/sweep/random/round-01.json"
    content = json.loads(stage.read_text())
    stage.write_text(json.dumps(content | {"code": "another"}))
    (swept.folder / "results/tiny/sweep/choices.json").unlink()
    ended = swept.snakemake()
    assert ended.returncode != 0
    assert (
        "results/tiny/sweep/random: its trials were trained by another version of the code; delete"
        in ended.stdout + ended.stderr
    )


def test_several_environments_are_normalised_by_baselines_on_the_tuning_seeds(tmp_path):
    study = Study(tmp_path)
    sweep = SWEEP | {"trials": 1, "seeds": [101], "halving": [], "objective": {"endpoint": "final"}}
    environments = {
        name: {"labels": {"segment_length": 3}, "agent": {"learning_rate": 0.003}}
        for name in ("InvertedPendulum-v5", "InvertedDoublePendulum-v5")
    }
    options = {"environments": environments, "selectors": ["random"], "baselines": True}
    space = {"reward_model.learning_rate": SWEEP["space"]["reward_model.learning_rate"]}
    study.configure(**CHANGES | options | {"sweep": sweep | {"space": space}})
    ended = study.snakemake("--until", "choose")
    folder = tmp_path / "results/tiny/sweep"
    assert ended.returncode == 0, ended.stderr
    runs = pd.read_csv(folder / "runs.csv")
    for _, row in runs.iterrows():
        ends = []
        for name in ("random_policy", "true_reward"):
            own = folder / f"_baselines/{name}/{row['environment']}/101/episodes.csv"
            ends.append(pd.read_csv(own)["return"].iloc[-10:].mean())
        assert row["score"] == pytest.approx((row["return"] - ends[0]) / (ends[1] - ends[0]))
    assert pd.read_csv(folder / "trials.csv")["value"].iloc[0] == pytest.approx(runs.score.mean())


def test_a_sweep_that_has_not_ended_has_nothing_to_analyse(tmp_path):
    study = Study(tmp_path)
    study.configure(**CHANGES)
    ended = study.run("env", "ACTIVE_RLHF_TRAINING=no", *study.command())
    assert ended.returncode != 0
    assert "error: the sweep of tiny has not ended" in ended.stdout + ended.stderr
