"""A study in its own folder, and Snakemake's plans and results for it."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import loaded
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

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(self.repository / "src")}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def command(self, config: str = "study.yaml") -> list[str]:
        snakemake = [sys.executable, "-m", "snakemake"]
        snakefile = ["--snakefile", str(self.repository / "Snakefile")]
        profile = ["--profile", str(self.repository / "profiles" / "local"), "--cores", "2"]
        return [*snakemake, *snakefile, *profile, "--configfile", config]

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self.command(), *arguments]
        if self.repository != REPOSITORY:  # with another package than the one that is loaded
            return self.run(*command)
        return loaded.snakemake(command[3:], self.folder, self.environment)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Snakemake in a session of its own."""
        return subprocess.Popen(
            [*self.command(), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

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
