"""What runs again after a change, as Snakemake's own plan says it."""

import shutil

import pytest
from studies import Study
from tiny_study import TINY

ALL_RUNS = {"random/1", "random/2", "hybrid/1", "hybrid/2"}
FIGURES = {
    "learning_curves",
    "endpoint_distributions",
    "effects",
    "rankings",
    "label_figures",
    "overhead_figure",
}


def edit(study: Study, file: str, text: str = "\nedited = 1\n") -> None:
    path = study.repository / file
    path.write_text(path.read_text() + text)


def test_a_finished_study_has_nothing_to_do(study):
    assert study.plan() == {}
    assert "Nothing to be done" in study.snakemake().stderr


def test_another_seed_trains_only_its_runs(study):
    study.configure(seeds=[1, 2, 3])
    assert study.runs_to_train() == {"random/3", "hybrid/3"}


def test_another_selector_trains_only_its_runs(study):
    study.configure(selectors=["random", "hybrid", "duo"])
    assert study.runs_to_train() == {"duo/1", "duo/2"}


def test_a_selectors_setting_retrains_only_its_runs(study):
    study.configure(selectors={"random": {}, "hybrid": {"picker": {"beta": 0.75}}})
    assert study.runs_to_train() == {"hybrid/1", "hybrid/2"}


def test_a_setting_of_the_learner_retrains_every_run(study):
    study.configure(agent=TINY["agent"] | {"gamma": 0.9})
    assert study.runs_to_train() == ALL_RUNS


def test_swapping_two_values_is_a_change(study):
    swapped = {"epochs": TINY["agent"]["minibatches"], "minibatches": TINY["agent"]["epochs"]}
    study.configure(agent=TINY["agent"] | swapped)
    assert study.runs_to_train() == ALL_RUNS


def test_writing_the_same_config_otherwise_changes_nothing(study):
    reordered = dict(reversed(TINY["agent"].items()))
    study.configure(agent=reordered | {"learning_rate": 0.0003}, total_steps=4096.0)
    assert study.runs_to_train() == set()


def test_tracking_retrains_nothing(study):
    study.configure(
        tracking="tensorboard", checkpoint_every=1, resources={"mem_mb": 9000, "account": "other"}
    )
    assert "train" not in study.plan()


def test_a_plot_style_redraws_and_trains_nothing(study):
    study.configure(figures={"interval": "sd"})
    assert study.plan().keys() == FIGURES | {"config", "config_page", "provenance"}


def test_a_statistics_setting_computes_again_and_trains_nothing(study):
    study.configure(statistics={"bootstrap": 300})
    plan = study.plan()
    assert {"statistics", "tables", *FIGURES} <= plan.keys() and not {"train", "export"} & set(plan)


def test_display_names_train_nothing(study):
    study.configure(methods={"hybrid": "Hybrid", "random": "Random"})
    plan = study.plan()
    assert "statistics" in plan and not {"train", "export"} & set(plan)


def test_a_deleted_run_is_trained_again(study):
    shutil.rmtree(study.folder / "results/tiny/runs/Hopper-v5/hybrid/2")
    assert study.runs_to_train() == {"hybrid/2"}


def test_a_fresh_copy_of_the_repository_changes_nothing(editable):
    assert editable.plan() == {}  # every file there is newer than every result


@pytest.mark.parametrize(
    ("file", "runs"),
    [
        ("agents/ppo/update.py", ALL_RUNS),
        ("rewards/ensemble.py", ALL_RUNS),
        ("teachers/oracle.py", ALL_RUNS),
        ("selection/pickers/dpp.py", {"hybrid/1", "hybrid/2"}),
        ("selection/vae.py", {"hybrid/1", "hybrid/2"}),
        ("selection/pickers/kmeans.py", set()),
        ("analysis/comparisons.py", set()),
        ("cli/watch.py", set()),
        ("results/provenance.py", set()),
    ],
)
def test_editing_code_retrains_the_runs_that_use_it(editable, file, runs):
    edit(editable, f"src/active_rlhf/{file}")
    assert editable.runs_to_train() == runs
    assert "Params have changed" in editable.planned or not runs


def test_editing_statistics_computes_them_again(editable):
    edit(editable, "src/active_rlhf/analysis/comparisons.py")
    plan = editable.plan()
    assert "statistics" in plan and not {"train", "export"} & set(plan)


def test_editing_a_figure_redraws_figures_only(editable):
    edit(editable, "src/active_rlhf/figures/style.py")
    assert editable.plan().keys() == FIGURES | {"provenance"}


def test_editing_a_tables_caption_writes_tables_only(editable):
    edit(editable, "src/active_rlhf/tables/templates/table.tex.jinja", "% edited\n")
    plan = editable.plan()
    assert "tables" in plan and not {"train", "export", "statistics", *FIGURES} & set(plan)


def test_a_reports_caption_needs_only_another_report(editable):
    edit(editable, "workflow/report/effects.rst", "Edited caption.\n")
    assert editable.plan() == {}
    result = editable.snakemake("--report", "report.html")
    assert result.returncode == 0, result.stderr
    assert "Edited caption." in (editable.folder / "report.html").read_text()
