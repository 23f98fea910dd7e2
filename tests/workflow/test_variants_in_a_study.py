"""A study with variants, trained and analysed: what is made, what an edit of one makes again."""

import re

import pandas as pd
import pytest
import yaml
from studies import REPOSITORY, Study
from tiny_study import IMAGES, TINY

from active_rlhf.run.training import train
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.matrix import study_runs

VARIANTS = {"base": {}, "few": {"labels": {"total": 10}}}
SMALL = {"seeds": [1], "selectors": ["random", "duo"]} | IMAGES
CELLS = ["random", "duo", "random@few", "duo@few"]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    study = Study(tmp_path_factory.mktemp("variants"))
    configure(study, VARIANTS)
    wanted = "findings", "variant_differences", "labels_needed", "budgets", "learning_curves"
    done = study.snakemake("--until", *wanted)  # the study of a sweep is made whole
    assert done.returncode == 0, done.stdout + done.stderr
    return study


def configure(study: Study, variants: dict) -> None:
    study.configure(**SMALL, variants=variants)


@pytest.mark.slow
def test_every_cell_is_trained_and_compared(study):
    results = study.folder / "results/tiny"
    assert {path.name for path in (results / "runs/Hopper-v5").iterdir()} == set(CELLS)
    summary = pd.read_parquet(results / "statistics/summary.parquet")
    assert set(zip(summary["variant"], summary["method"], strict=True)) == {
        (variant, method) for variant in VARIANTS for method in ("random", "duo")
    }
    few = pd.read_csv(results / "exports/Hopper-v5.sessions.csv").query(
        "exp_name.str.contains('few')"
    )
    assert few.groupby("exp_name")["asked"].sum().eq(10).all()
    assert (results / "figures/few/Hopper-v5/learning_curves.png").is_file()
    assert (results / "tables/Hopper-v5/variants_endpoint.tex").is_file()
    page = (results / "findings.md").read_text()
    titles = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert titles == [
        *(f"Within variant {name}" for name in sorted(VARIANTS)),
        "Variants of each selector",
    ]
    assert "Variant: few. Teacher: oracle" in page and "label budget: 10 per run" in page
    # They differ in the budget alone, so the study also tells how many labels were enough.
    table = pd.read_parquet(results / "statistics/budgets.parquet")
    assert sorted(set(table["labels"])) == [10, 16]
    assert (results / "figures/budgets.png").is_file()
    assert "Labels with which" in (results / "tables/Hopper-v5/budgets.md").read_text()


@pytest.mark.slow
def test_changing_one_variant_trains_its_runs_alone(study):
    skip = {"teacher": "skip", "selectors": ["duo"]}
    configure(study, VARIANTS | {"few": {"labels": {"total": 12}}, "skip": skip})
    assert study.runs_to_train() == {"random@few/1", "duo@few/1", "duo@skip/1"}
    study.configure(**SMALL)  # base alone is a study without variants
    assert study.runs_to_train() == set()
    configure(study, VARIANTS)
    assert study.runs_to_train() == set()


@pytest.mark.slow
def test_every_correction_switched_back_changes_runs(tmp_path):
    variants = yaml.safe_load((REPOSITORY / "config/ablation.yaml").read_text())["variants"]
    variants["uniform"]["selectors"] = ["hybrid"]
    changes = {"selectors": ["hybrid"], "seeds": [1], "variants": variants}
    changes["labels"] = TINY["labels"] | {"first_after": 0.5}  # later than after the first rollout
    # So that each member may have a sample:
    changes["reward_model"] = TINY["reward_model"] | {"epochs": 2}
    study = load_study("study.yaml", data=TINY | changes)
    for run in study_runs(study):
        train(resolve_run(study, *run), tmp_path / run[1])
    episodes = {path.read_bytes() for path in tmp_path.glob("*/episodes.csv")}
    assert len(episodes) == len(variants)
    assert pd.read_csv(tmp_path / "hybrid@early/sessions.csv")["step"][0] == 1024
