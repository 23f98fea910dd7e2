"""Every command of the README, in order, in a copy of the repository with tiny studies."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from studies import REPOSITORY
from tiny_study import ONE_FIGURE, TINY

from active_rlhf.parts import part
from active_rlhf.study.loading import load_study, resolve_run

README = (REPOSITORY / "README.md").read_text()
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
# `make test` is what runs this file; `make label-demo` waits for a person, whom
# tests/labelling/test_label_demo.py plays.
ELSEWHERE = {"make test", "make label-demo"}
# Submitting needs a cluster; what would be submitted does not.
PLANNED = {"snakemake --profile slurm --configfile config/thesis.yaml"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    copy = tmp_path_factory.mktemp("readme") / "active rlhf"
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for name in tracked.stdout.splitlines():
        if (REPOSITORY / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name, follow_symlinks=False)
    (copy / ".venv").symlink_to(REPOSITORY / ".venv")
    for name in ("pyproject.toml", "constraints.txt"):
        os.utime(copy / name, (0, 0))  # or make would set the environment up anew, for the copy
    space = {"agent.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}}
    sweep = {"seeds": [101], "trials": 2, "space": space, "objective": {"endpoint": "final"}}
    # Without a reward model there is half as much to analyse.
    for name, own in (
        ("demo", {"selectors": ["random", "duo"]}),
        ("thesis", {"selectors": ["true_reward"]}),
        ("sweeps/hybrid_hopper", {"selectors": ["true_reward"], "sweep": sweep}),
    ):
        small = {"study": Path(name).name, "seeds": [1], "environments": ["HalfCheetah-v5"]}
        (copy / f"config/{name}.yaml").write_text(yaml.safe_dump(TINY | ONE_FIGURE | small | own))
    return copy


def use_published_files(repository: Path, published: Path) -> None:
    """The files at hand under the names that config/published.yaml expects, the others left out."""
    path = repository / "config/published.yaml"
    study = yaml.safe_load(path.read_text())
    here = {
        env: file
        for env, file in study["imported"].items()
        if (published / Path(file).name).is_file()
    }
    for file in here.values():
        shutil.copy(published / Path(file).name, repository / file)
    study |= {"imported": here, "statistics": {"bootstrap": 200}}
    study |= {"figures": {"only": ["effects", "rankings"]}}
    study["exclude"] = [row for row in study["exclude"] if row["env"] in here]
    path.write_text(yaml.safe_dump(study, sort_keys=False))


def check_the_published_study(results: Path, published: Path) -> None:
    """Nothing is trained, and the p-values are those that the thesis printed."""
    assert not (results / "runs").exists() and (results / "figures/improvement.png").exists()
    for env in ("Walker2d-v5", "HalfCheetah-v5"):
        assert (results / f"figures/{env}/effects.pdf").exists()
        assert (results / f"tables/{env}/significance_endpoint.tex").exists()
    ours = pd.read_csv(results / "statistics/comparisons.csv").query("env == 'Walker2d-v5'")
    theirs = pd.read_csv(published / "statistical_significance_walker_400.csv")
    assert sorted(ours["p_value"]) == pytest.approx(sorted(theirs["p_value"]), rel=1e-9)


@pytest.mark.slow
@pytest.mark.skipif(not (REPOSITORY / ".venv").exists(), reason="set up by `make venv` only")
@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ELSEWHERE])
def test_command(command, repository, request):
    if "published.yaml" in command:
        use_published_files(repository, request.getfixturevalue("published"))
    if command in PLANNED:
        command += " --dry-run"
    result = subprocess.run(
        ["bash", "-c", f"source .venv/bin/activate && {command}"],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    if "published.yaml" in command:
        published = request.getfixturevalue("published")
        check_the_published_study(repository / "results/published", published)


def test_there_are_commands():
    assert {"make demo", "make test", "active-rlhf list"} <= set(COMMANDS)
    assert "active-rlhf verify results/thesis" in COMMANDS


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found.group(1)


def test_the_selectors_of_the_readme_are_valid():
    selectors = yaml.safe_load(block("yaml"))
    study = load_study("readme.yaml", data=TINY | selectors)
    selectors = study.environments["Hopper-v5"].selectors
    assert selectors["bald_dpp"].picker.settings["beta"] == 0.3
    assert selectors["duo_wide"].keep == 0.9


def test_the_score_of_the_readme_works_as_a_part_of_a_study(tmp_path):
    (tmp_path / "my_parts.py").write_text(block("python"))
    study = tmp_path / "study.yaml"
    mine = {"mine": {"score": {"name": "deviation", "power": 2}, "picker": "top"}}
    study.write_text(yaml.safe_dump(TINY | {"parts": ["my_parts.py"], "selectors": mine}))
    spec = resolve_run(load_study(study), "Hopper-v5", "mine", 1)
    assert spec.selection.score.settings == {"power": 2.0}
    working = part("score", "deviation").start(spec.selection.score.settings)
    pairs = SimpleNamespace(differences=np.array([[0.0], [0.0], [np.log(3)]]))
    np.testing.assert_allclose(working(pairs), (1 / 6) ** 2)
