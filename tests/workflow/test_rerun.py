"""What runs again after a change, according to Snakemake's own plan."""

import json
import shutil
from base64 import urlsafe_b64encode

import pytest
from studies import REPOSITORY, Study
from tiny_study import AUTO, TINY

from active_rlhf.results.sources import modules_of

ALL_RUNS = {"random/1", "random/2", "hybrid/1", "hybrid/2"}
FIGURES = {
    *("learning_curves", "endpoints", "effects", "rankings"),
    *("reward_accuracy", "reward_measures", "reward_model_endpoints", "reward_model_effects"),
    *("run_time", "training_progress"),
}
TABLES = {"summary", "significance", "ledger", "reward_model", "costs", "document"}
PAGES = {"config_page", "findings_page", "tables_page", "overhead_page"}
SITE = {"site", "behaviour", "run_pages"}
RECORD = {"provenance", "provenance_page"}
INSPECTION = {"inspection", "reward_inspection", "inspection_page"}
ANALYSIS = {"statistics", "overhead", "findings", "site", *FIGURES, *TABLES} | PAGES - {
    "config_page"
}


def edit(study: Study, file: str, text: str = "\nEDITED = True\n") -> None:
    path = study.repository / file
    path.write_text(path.read_text() + text)


AGENT = TINY["agent"]
SWAPPED = {"epochs": AGENT["minibatches"], "minibatches": AGENT["epochs"]}
BETA = {"hybrid": {"picker": {"beta": 0.75}}}
CHANGES = {
    "another seed, a selector and a setting of one": (
        {"seeds": [1, 2, 3], "selectors": {"random": {}, "duo": {}} | BETA},
        {"random/3", *(f"{name}/{seed}" for name in ("hybrid", "duo") for seed in (1, 2, 3))},
    ),
    "two values swapped": ({"agent": AGENT | SWAPPED}, ALL_RUNS),
    "the same in other words, and what is no part of a run": (
        {"agent": dict(reversed(AGENT.items())) | {"learning_rate": 3e-4}, "total_steps": 4096.0}
        | {"tracking": "tensorboard", "checkpoint_every": 1, "resources": {"mem_mb": 9000}}
        | {"methods": {"hybrid": "Hybrid", "random": "Random"}},
        set(),
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_trains_the_runs_that_it_is_about(case, study):
    changes, runs = CHANGES[case]
    study.configure(**changes)
    assert study.runs_to_train() == runs
    assert "methods" not in changes or "rule statistics:" in study.planned


def test_a_plot_style_redraws_and_trains_nothing(study):
    study.configure(figures={"interval": "sd"})
    drawn = {"reward_inspection", "inspection_page", *FIGURES}
    assert study.plan().keys() == drawn | RECORD | {"config", "config_page", "site"}


def test_a_statistics_setting_computes_again_and_trains_nothing(study):
    """Until a run is deleted, which alone is trained again."""
    study.configure(statistics={"bootstrap": 300})
    plan = study.plan()
    assert plan.keys() >= {"statistics", *TABLES, *FIGURES}
    assert not {"train", "export"} & plan.keys()
    shutil.rmtree(study.folder / "results/tiny/runs/Hopper-v5/hybrid/2")
    assert study.runs_to_train() == {"hybrid/2"}


def test_a_fine_tuned_run_is_trained_again_only_for_another_policy(study):
    study.configure(study="tuned", start_from="results/tiny/runs/{environment}/{selector}/{seed}")
    source = study.folder / "results/tiny/runs/Hopper-v5/random/1"
    tuned = "results/tuned/runs/Hopper-v5/random/1/run.json"
    result = study.snakemake("--printshellcmds", tuned)
    assert result.returncode == 0, result.stdout + result.stderr
    made = json.loads((study.folder / tuned).read_text())
    record = json.loads((source / "run.json").read_text())
    assert made["start_from"]["policy"] == record["files"]["policy.safetensors"]
    assert not study.plan(tuned)

    other = source.with_name("2")
    for name in ("policy.safetensors", "run.json"):
        shutil.copy(other / name, source / name)
    assert study.plan(tuned) == {"train": 1}
    assert "results/tiny/runs/Hopper-v5/random/1/run.json" in study.planned  # an input
    (source / "run.json").unlink()
    refused = study.snakemake("--dry-run", tuned)
    assert refused.returncode != 0 and "start_from: results/tiny" in refused.stdout + refused.stderr


def test_other_versions_of_libraries_retrain_every_run(editable):
    metadata = editable.repository / "src/scipy-0.0.1.dist-info/METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.0.1\n")
    assert editable.runs_to_train() == ALL_RUNS


def test_forced_runs_are_trained_again(study):
    """One of them by its file; then, in a study of one selector, all of a rule."""
    runs = study.folder / "results/tiny/runs/Hopper-v5"
    times = {path: path.stat().st_mtime_ns for path in runs.glob("*/*/policy.safetensors")}

    def again(forced: str) -> set[str]:
        done = study.snakemake("--forcerun", forced, "--until", "train")
        assert done.returncode == 0, done.stderr
        changed = {path for path, time in times.items() if path.stat().st_mtime_ns != time}
        times.update((path, path.stat().st_mtime_ns) for path in changed)
        return {str(path.parent.relative_to(runs)) for path in changed}

    assert again("results/tiny/runs/Hopper-v5/random/2/run.json") == {"random/2"}
    study.configure(selectors=["random"])
    assert again("train") == {"random/1", "random/2"}


def test_a_run_that_ended_after_its_snakemake_was_killed_is_not_trained_again(study):
    """Snakemake has it down as incomplete then, and makes it again by force."""
    file = "results/tiny/runs/Hopper-v5/random/2/run.json"
    before = (study.folder / file).read_bytes()
    mark = study.folder / ".snakemake/incomplete" / urlsafe_b64encode(file.encode()).decode()
    mark.touch()
    done = study.snakemake("--until", "train")
    assert done.returncode == 0 and not mark.exists(), done.stderr
    assert done.stderr.count("steps done: train") == 1
    assert (study.folder / file).read_bytes() == before


def test_a_probe_set_made_again_trains_nothing(study):
    study.configure(seeds=[1], selectors=["random"])
    results = study.folder / "results/tiny"
    probe, policies = results / "probes/Hopper-v5.npz", list(results.rglob("policy.safetensors"))
    made, times = probe.read_bytes(), [path.stat().st_mtime_ns for path in policies]
    before = probe.stat().st_mtime_ns
    done = study.snakemake("--forcerun", "probe", "--until", "train")
    assert done.returncode == 0 and "steps done: probe Hopper-v5" in done.stderr, done.stderr
    assert probe.read_bytes() == made and probe.stat().st_mtime_ns != before
    assert [path.stat().st_mtime_ns for path in policies] == times
    shutil.rmtree(probe.parent)
    assert study.plan()["probe"] == 1


def test_the_precision_stays_what_it_was_when_the_study_began(study):
    """On a machine where the other is faster; and a plan alone writes nothing down."""
    study.configure(**AUTO)
    file = study.folder / "results/tiny/precision.json"
    study.plan()
    assert not file.exists()
    assert study.snakemake("--until", "config").returncode == 0
    assert set(json.loads(file.read_text())) == {"float32", "bfloat16", "processor"}
    file.write_text('{"float32": 1, "bfloat16": 2, "processor": "another"}')
    assert study.runs_to_train() == ALL_RUNS  # the tiny study is in float32


TABLES_TOO = {"document", "tables_page", "site"}
EDITED: list[tuple[list[str], set[str]]] = [
    # A script is that of its rule; a module's users are near and far.
    (
        ["workflow/scripts/findings.py", "src/active_rlhf/analysis/epic.py"],
        {"findings", "findings_page", "inspections"} | INSPECTION | TABLES_TOO,
    ),
    (
        ["src/active_rlhf/selection/vae.py"],
        {"train", "export", "inspections"} | ANALYSIS | INSPECTION | SITE,
    ),
    (
        ["src/active_rlhf/tables/templates/table.tex.jinja"],
        {"inspection", "inspection_page", "overhead_page"} | TABLES | TABLES_TOO,
    ),
]


@pytest.mark.parametrize(("files", "rerun"), EDITED)
def test_an_edit_reruns_what_uses_the_edited_code(editable, files, rerun):
    for file in files:
        edit(editable, file, "\n% edited\n" if file.endswith("jinja") else "\nEDITED = True\n")
    plan = editable.plan()
    assert plan.keys() == rerun | RECORD
    assert plan.get("train", 0) == 2 * ("train" in rerun)  # the runs of Hybrid


def test_edits_of_what_decides_nothing_make_nothing_again(editable):
    """In a fresh copy of the repository, where every file is newer than every result."""
    edit(editable, "workflow/scripts/figures/effects.py", "\n# A remark.\n")
    edit(editable, "src/active_rlhf/analysis/comparisons.py", "\n\n\n")
    for file in ("results/verify/recomputed.py", "cli/watch.py"):
        edit(editable, f"src/active_rlhf/{file}")
    assert editable.plan() == {}
    edit(editable, "workflow/report/effects.rst", "Edited caption.\n")
    assert editable.plan().keys() == {"site", *RECORD}


SWEEP = {"suggest", "choose", "outcome", "tuned", "tuning", "tuning_tables", "tuning_page"}
USED = {
    "results/collect.py": {"export", "overhead", "suggest", "choose"},
    "results/provenance.py": {*RECORD, "tuned"},
    "study/reading.py": {"config", *SITE, *SWEEP},
    "figures/rankings.py": {"rankings"},
    "analysis/findings.py": {"findings", "site"},
    "selection/presets.py": SITE | SWEEP,
}


@pytest.mark.parametrize("file", USED)
def test_a_script_counts_a_module_as_its_code_if_it_uses_it(file):
    scripts = (REPOSITORY / "workflow/scripts").rglob("*.py")
    assert {script.stem for script in scripts if file in modules_of(script)} == USED[file]
