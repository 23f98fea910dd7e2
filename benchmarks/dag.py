"""The cost of Snakemake itself: CPU seconds and memory to plan a study of 160 to 16,000 runs.

Nothing is trained: result files and Snakemake's records of them are written directly.

    python benchmarks/dag.py [RUNS ...]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from pathlib import Path

import yaml

from active_rlhf.run.identity import code_fingerprint
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.matrix import study_runs
from active_rlhf.study.settings import Study

REPOSITORY = Path(__file__).parents[1]
SIZES = (160, 1600, 16000)
ENVIRONMENTS = ["HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5"]
SELECTORS = ["random", "variquery", "duo", "hybrid"]


def snakemake(folder: Path, *arguments: str) -> tuple[str, float, float]:
    """Output, CPU seconds and peak memory (MiB) of one call on the study in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--profile", str(REPOSITORY / "profiles" / "local")]
    command += ["--configfile", "study.yaml", *arguments]
    with (folder / "output").open("w+") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        output.seek(0)
        text = output.read()
    if status:
        raise RuntimeError(f"{' '.join(command)}\n{text}")
    return text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def write_study(folder: Path, runs: int) -> Study:
    seeds = list(range(runs // (len(ENVIRONMENTS) * len(SELECTORS))))
    study = {"study": "scale", "seeds": seeds, "environments": ENVIRONMENTS, "selectors": SELECTORS}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return load_study(folder / "study.yaml")


def finish(folder: Path, study: Study) -> None:
    """Make every run, and every file made from them, look finished."""
    records = folder / ".snakemake" / "metadata"
    records.mkdir(parents=True, exist_ok=True)
    specs = {}
    for environment, selector, seed in study_runs(study):
        if (environment, selector) not in specs:
            spec = resolve_run(study, environment, selector, seed)
            specs[environment, selector] = spec, code_fingerprint(spec)
        spec, code = specs[environment, selector]
        spec = json.dumps({**spec.as_dict(), "seed": seed}, sort_keys=True)
        path = f"results/scale/runs/{environment}/{selector}/{seed}/run.json"
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text("{}")
        record = {
            "rule": "train",
            "input": [],
            "params": sorted([repr(spec), repr(code)]),
            "record_format_version": 6,
            "software_stack_hash": "d41d8cd98f00b204e9800998ecf8427e",
            "incomplete": False,
        }
        (records / urlsafe_b64encode(path.encode()).decode()).write_text(json.dumps(record))
    now = time.time()
    summary, _, _ = snakemake(folder, "--summary")
    for line in summary.splitlines():
        path = folder / line.split("\t")[0]
        if line.startswith("results/") and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (now, now))


def measure(runs: int) -> dict[str, float]:
    """`fresh`: planning a study of which nothing is done yet; `noop`: a finished one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = write_study(folder, runs)
        plan, fresh, before = snakemake(folder, "--dry-run", "--quiet", "rules")
        if f"train {runs}" not in " ".join(plan.split()):
            raise RuntimeError(f"not {runs} train jobs in the plan:\n{plan}")
        finish(folder, study)
        plan, noop, after = snakemake(folder)
        if "Nothing to be done" not in plan:
            raise RuntimeError(f"something is still left to do:\n{plan[-3000:]}")
    return {
        "runs": runs,
        "noop_cpu_s": round(noop, 2),
        "fresh_cpu_s": round(fresh, 2),
        "peak_rss_mb": round(max(before, after)),
    }


if __name__ == "__main__":
    print(json.dumps([measure(int(size)) for size in sys.argv[1:] or SIZES], indent=1))
