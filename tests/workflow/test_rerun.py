"""What runs again after a change, according to Snakemake's own plan."""

import json
import shutil

import pytest
from studies import Study
from tiny_study import TINY

ALL_RUNS = {"random/1", "random/2", "hybrid/1", "hybrid/2"}
FIGURES = {
    *("learning_curves", "endpoints", "effects", "rankings"),
    *("reward_accuracy", "reward_measures", "reward_model_endpoints", "reward_model_effects"),
    "run_time",
}
TABLES = {"summary", "significance", "ledger", "reward_model", "costs", "document"}
PAGES = {"config_page", "findings_page", "tables_page", "overhead_page"}
OF_TABLES = {"tables_page", "overhead_page"}
COSTS = {"overhead", "run_time", "costs", "overhead_page"}
ANALYSIS = {"statistics", "overhead", "findings", *FIGURES, *TABLES} | PAGES - {"config_page"}


def edit(study: Study, file: str, text: str = "\nEDITED = True\n") -> None:
    path = study.repository / file
    path.write_text(path.read_text() + text)


def test_a_finished_study_has_nothing_to_do(study):
    assert study.plan() == {}
    assert "Nothing to be done" in study.snakemake().stderr


AGENT = TINY["agent"]
CHANGES = {
    "another seed": ({"seeds": [1, 2, 3]}, {"random/3", "hybrid/3"}),
    "another selector": ({"selectors": ["random", "hybrid", "duo"]}, {"duo/1", "duo/2"}),
    "a selector's setting": (
        {"selectors": {"random": {}, "hybrid": {"picker": {"beta": 0.75}}}},
        {"hybrid/1", "hybrid/2"},
    ),
    "a setting of the learner": ({"agent": AGENT | {"gamma": 0.9}}, ALL_RUNS),
    "two values swapped": (
        {"agent": AGENT | {"epochs": AGENT["minibatches"], "minibatches": AGENT["epochs"]}},
        ALL_RUNS,
    ),
    "the same in other words": (
        {"agent": dict(reversed(AGENT.items())) | {"learning_rate": 3e-4}, "total_steps": 4096.0},
        set(),
    ),
    "tracking": (
        {"tracking": "tensorboard", "checkpoint_every": 1, "resources": {"mem_mb": 9000}},
        set(),
    ),
    "names in tables": ({"methods": {"hybrid": "Hybrid", "random": "Random"}}, set()),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_trains_the_runs_that_it_is_about(case, study):
    changes, runs = CHANGES[case]
    study.configure(**changes)
    assert study.runs_to_train() == runs
    assert case != "names in tables" or "rule statistics:" in study.planned


def test_a_plot_style_redraws_and_trains_nothing(study):
    study.configure(figures={"interval": "sd"})
    assert study.plan().keys() == FIGURES | {"config", "config_page", "provenance"}


def test_a_statistics_setting_computes_again_and_trains_nothing(study):
    study.configure(statistics={"bootstrap": 300})
    plan = study.plan()
    assert plan.keys() >= {"statistics", *TABLES, *FIGURES}
    assert not {"train", "export"} & plan.keys()


def test_a_deleted_run_is_trained_again(study):
    shutil.rmtree(study.folder / "results/tiny/runs/Hopper-v5/hybrid/2")
    assert study.runs_to_train() == {"hybrid/2"}


def test_other_versions_of_libraries_retrain_every_run(editable):
    metadata = editable.repository / "src/scipy-0.0.1.dist-info/METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.0.1\n")
    assert editable.runs_to_train() == ALL_RUNS


def test_forced_runs_are_trained_again(study):
    runs = study.folder / "results/tiny/runs/Hopper-v5"
    times = {path: path.stat().st_mtime_ns for path in runs.glob("*/*/policy.safetensors")}
    forced = "results/tiny/runs/Hopper-v5/random/2/run.json"
    done = study.snakemake("--forcerun", forced, "--until", "train")
    assert done.returncode == 0, done.stderr
    again = {path for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert again == {runs / "random/2/policy.safetensors"}
    study.snakemake("--forcerun", "train", "--until", "train")
    assert all(path.stat().st_mtime_ns != time for path, time in times.items())


def test_a_probe_set_made_again_trains_nothing(study):
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
    file = study.folder / "results/tiny/precision.json"
    assert set(json.loads(file.read_text())) == {"float32", "bfloat16", "processor"}
    file.write_text('{"float32": 2, "bfloat16": 1, "processor": "another"}')
    other = study.runs_to_train()
    file.write_text('{"float32": 1, "bfloat16": 2, "processor": "another"}')
    assert {frozenset(other), frozenset(study.runs_to_train())} == {
        frozenset(ALL_RUNS),
        frozenset(),
    }
    file.unlink()
    study.plan()
    assert not file.exists()


def test_a_fresh_copy_of_the_repository_changes_nothing(editable):
    assert editable.plan() == {}  # every file there is newer than every result


@pytest.mark.parametrize(
    ("file", "runs"),
    [
        ("rewards/probe.py", ALL_RUNS),
        ("agents/ppo/update.py", ALL_RUNS),
        ("rewards/ensemble.py", ALL_RUNS),
        ("teachers/oracle.py", ALL_RUNS),
        ("selection/pickers/dpp.py", {"hybrid/1", "hybrid/2"}),
        ("selection/vae.py", {"hybrid/1", "hybrid/2"}),
        ("selection/pickers/kmeans.py", set()),
        ("analysis/comparisons.py", set()),
    ],
)
def test_editing_code_retrains_the_runs_that_use_it(editable, file, runs):
    edit(editable, f"src/active_rlhf/{file}")
    assert editable.runs_to_train() == runs
    assert "Params have changed" in editable.planned or not runs


@pytest.mark.parametrize(
    ("file", "rules"),
    {
        # Scripts, each the one of its rule (and of its variants).
        "workflow/scripts/export.py": {"export", *ANALYSIS},
        "workflow/scripts/statistics.py": ANALYSIS
        - COSTS
        - {"reward_accuracy", "reward_measures", "ledger"},
        "workflow/scripts/overhead.py": COSTS | {"document"},
        "workflow/scripts/figures/effects.py": {"effects"},
        "workflow/scripts/tables/significance.py": {"significance", "document", "tables_page"},
        "workflow/scripts/tables/document.py": {"document"},
        "workflow/scripts/findings.py": {"findings", "findings_page"},
        "workflow/scripts/findings_page.py": PAGES - {"config_page"},
        "workflow/scripts/config.py": {"config", "config_page"},
        "workflow/scripts/config_page.py": {"config_page"},
        "workflow/scripts/provenance.py": set(),
        # Modules, near and far.
        "src/active_rlhf/results/collect.py": {"export", *ANALYSIS},
        "src/active_rlhf/results/provenance.py": set(),
        "src/active_rlhf/study/reading.py": {"config", "config_page"},
        "src/active_rlhf/results/page.py": PAGES,
        "src/active_rlhf/tables/templates/table.tex.jinja": TABLES | OF_TABLES,
        "src/active_rlhf/tables/cells.py": TABLES | OF_TABLES,
        "src/active_rlhf/figures/rankings.py": {"rankings"},
        "src/active_rlhf/figures/style.py": FIGURES,
        "src/active_rlhf/analysis/findings.py": {"findings", "findings_page"},
        "src/active_rlhf/results/verify/recomputed.py": None,
        "src/active_rlhf/cli/watch.py": None,
        "src/active_rlhf/selection/presets.py": None,
    }.items(),
)
def test_an_edit_reruns_what_uses_the_edited_code(editable, file, rules):
    edit(editable, file, "\n% edited\n" if file.endswith("jinja") else "\nEDITED = True\n")
    expected = set() if rules is None else rules | {"provenance"}
    assert editable.plan().keys() == expected


@pytest.mark.parametrize("text", ["\n# A remark.\n", "\n\n\n"], ids=["a remark", "empty lines"])
def test_what_code_does_not_do_makes_nothing_again(editable, text):
    edit(editable, "workflow/scripts/figures/effects.py", text)
    edit(editable, "src/active_rlhf/analysis/comparisons.py", text)
    assert editable.plan() == {}


def test_a_reports_caption_needs_only_another_report(editable):
    edit(editable, "workflow/report/effects.rst", "Edited caption.\n")
    assert editable.plan() == {}
    result = editable.snakemake("--report", "report.html")
    assert result.returncode == 0, result.stderr
    assert "Edited caption." in (editable.folder / "report.html").read_text()
