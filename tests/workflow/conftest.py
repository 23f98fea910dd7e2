"""One tiny real study, trained once; every test gets its own copy of the results."""

import fcntl
import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_study import TINY

REPOSITORY = Path(__file__).parents[2]


@dataclass
class Study:
    """A study's folder, and the repository whose workflow and package make it."""

    folder: Path
    repository: Path = REPOSITORY

    def configure(self, **changes: Any) -> None:
        (self.folder / "study.yaml").write_text(yaml.safe_dump(TINY | changes))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.repository / "src")},
            capture_output=True,
            text=True,
        )

    def command(self, config: str = "study.yaml") -> list[str]:
        snakemake = [sys.executable, "-m", "snakemake"]
        snakefile = ["--snakefile", str(self.repository / "Snakefile")]
        profile = ["--profile", str(self.repository / "profiles" / "local"), "--cores", "2"]
        return [*snakemake, *snakefile, *profile, "--configfile", config]

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(*self.command(), *arguments)

    def plan(self, *arguments: str) -> dict[str, int]:
        """Jobs of each rule that Snakemake says it would run."""
        result = self.snakemake("--dry-run", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        self.planned = result.stdout + result.stderr
        if "Nothing to be done" in self.planned:
            return {}
        table = self.planned.split("Job stats:\n")[1].split("\n\n")[0]
        rows = re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)
        return {rule: int(count) for rule, count in rows if rule not in ("all", "total")}

    def runs_to_train(self) -> set[str]:
        """`<selector>/<seed>` of the runs that Snakemake would train."""
        self.plan()
        found = re.findall(r"output: results/tiny/runs/Hopper-v5/(\S+)/run.json", self.planned)
        return set(found)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> subprocess.CompletedProcess[str]:
    """The tiny study, trained and analysed while `active-rlhf watch` looks on.

    Once for all processes that share the tests: whoever is first has the others wait.
    """
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    record, study = place / "trained.pickle", Study(place / "o ü 研究 dir")
    with (place / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            study.folder.mkdir(exist_ok=True)
            study.configure()
            watch = [sys.executable, "-m", "active_rlhf.cli", "watch", "study.yaml", "--"]
            record.write_bytes(pickle.dumps(study.run(*watch, *study.command())))
    result = pickle.loads(record.read_bytes())
    assert result.returncode == 0, result.stdout + result.stderr
    result.folder = study.folder
    return result


@pytest.fixture
def study(trained, tmp_path) -> Study:
    shutil.copytree(trained.folder, tmp_path / "study")
    return Study(tmp_path / "study")


@pytest.fixture
def editable(study, tmp_path) -> Study:
    """A study made by a copy of the repository that may be edited."""
    copy = tmp_path / "repository"
    for folder in ("workflow", "profiles", "src"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(
            REPOSITORY / folder, copy / folder, ignore=ignored, copy_function=shutil.copy
        )
    shutil.copy(REPOSITORY / "Snakefile", copy)
    return Study(study.folder, copy)
