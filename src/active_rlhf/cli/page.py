"""Make the pages of a study from the runs that are finished, and print where they are.

Trains nothing, and may be used while the study runs. Where runs are missing, every page says so,
and the first has a table of what is there. It is started in the folder of the workflow.

Example:
  active-rlhf page config/demo.yaml
"""

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from active_rlhf.cli.launch import failure
from active_rlhf.errors import InputError
from active_rlhf.files import results_folder
from active_rlhf.study.loading import load_study
from active_rlhf.study.matrix import study_runs
from active_rlhf.study.progress import unfinished

WORKFLOW, PROFILE = Path("workflow/Snakefile"), Path("profiles/local")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("study", type=Path, help="the study's file")


def run(args: Namespace) -> int:
    study = load_study(args.study, cells=())
    results = results_folder(study.study)
    runs = study_runs(study)
    missing = unfinished(study, results)
    if runs and len(missing) == len(runs):
        raise InputError(
            f"{results}: none of the {len(runs)} runs is finished, so nothing is known"
        )
    if not WORKFLOW.exists():
        raise InputError(f"{WORKFLOW}: no such file here; start this in the folder of the workflow")
    log = results / "logs" / "pages.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Without a lock: Snakemake may be training the study in this folder.
    command = [sys.executable, "-m", "snakemake", "pages", "--nolock"]
    command += ["--profile", str(PROFILE), "--configfile", str(args.study)]
    with log.open("wb") as output:
        ended = subprocess.run(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"ACTIVE_RLHF_TRAINING": "no"},
        )
    if ended.returncode:
        sys.stderr.write(failure(log))
        return 1
    if missing:
        print(f"{len(runs) - len(missing)} of {len(runs)} runs are finished", file=sys.stderr)
    print(results / "index.html")
    return 0
