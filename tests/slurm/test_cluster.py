"""Studies on a real SLURM of one node, which these tests install, start and stop themselves."""

import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from tiny_study import AUTO, TINY

pytestmark = pytest.mark.slurm

REPOSITORY = Path(__file__).parents[2]
NODE = Path(__file__).with_name("single_node.sh")
UNAVAILABLE = 3  # its exit status where SLURM cannot be installed
PATIENCE = 600  # seconds; anything that takes longer hangs

ASKED = {"mem_mb": 1500, "runtime": 7, "partition": "standard", "account": "project"}
STUDY: dict[str, Any] = TINY | AUTO
STUDY |= {
    "study": "cluster",
    "selectors": ["random", "duo"],
    "resources": ASKED | {"gres": "gpu:1"},
}


@pytest.fixture(scope="session")
def node(tmp_path_factory) -> Iterator[None]:
    """SLURM runs meanwhile."""
    folder = tmp_path_factory.mktemp("slurm")
    with open(Path(tempfile.gettempdir()) / "active-rlhf-slurm.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one such cluster per machine
        started = subprocess.run([NODE, "start", folder], stdout=subprocess.PIPE, text=True)
        try:
            if started.returncode == UNAVAILABLE:
                pytest.skip(started.stdout.splitlines()[-1])
            assert started.returncode == 0, started.stdout
            yield
        finally:
            subprocess.run([NODE, "stop", folder], check=True)


STARTED: list[subprocess.Popen] = []


@pytest.fixture(scope="module", autouse=True)
def nothing_goes_on() -> Iterator[None]:
    yield
    for process in STARTED:
        process.kill()


@dataclass(frozen=True)
class Study:
    """A folder from which the repository's workflow and profiles are used as from its own."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, **changes: Any) -> "Study":
        folder.mkdir()
        for name in ("Snakefile", "config", "profiles", "slurm", "workflow"):
            (folder / name).symlink_to(REPOSITORY / name)
        (folder / "study.yaml").write_text(yaml.safe_dump(STUDY | changes))
        return cls(folder)

    @property
    def results(self) -> Path:
        return self.folder / "results/cluster"

    def run(self, selector: str, seed: int) -> Path:
        return self.results / "runs/Hopper-v5" / selector / str(seed)

    def start(self, command: str) -> "Workflow":
        """Begin a command line as it stands in the documentation."""
        path = self.folder / f"output-{time.monotonic_ns()}.txt"
        with path.open("w") as output:
            bin = Path(sys.executable).parent
            environment = os.environ | {
                "PATH": f"{bin}:{os.environ['PATH']}",
                "PYTHONPATH": str(REPOSITORY / "src"),
            }
            process = subprocess.Popen(
                ["bash", "-c", f"set -o pipefail; exec {command}"],
                **{"cwd": self.folder, "env": environment, "stdout": output, "stderr": output},
            )
        STARTED.append(process)
        return Workflow(process, path)


@dataclass(frozen=True)
class Workflow:
    """A Snakemake under way, and where all that it says goes."""

    process: subprocess.Popen
    path: Path

    @property
    def output(self) -> str:
        return self.path.read_text()

    def jobs(self) -> list[dict[str, str]]:
        """What SLURM says of the jobs that train its runs, in the order of submission."""
        lines = slurm("scontrol", "--oneliner", "show", "job").splitlines()
        jobs = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]
        own = [job for job in jobs if f"SLURM run ID: {job.get('JobName')}\n" in self.output]
        return [job for job in own if "rule_probe" not in job.get("Comment", "")]

    def wait_for(self, find: Callable[[], Any]) -> Any:
        """What `find` returns as soon as that is true; an error if Snakemake ends before."""
        deadline = time.monotonic() + PATIENCE
        while not (found := find()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                jobs = slurm("scontrol", "--oneliner", "show", "job")
                pytest.fail(f"{self.output}\n{jobs}", pytrace=False)
            time.sleep(0.02)
        return found

    def succeed(self) -> str:
        """Wait for a good end; returns what was said."""
        assert self.process.wait(timeout=PATIENCE) == 0, self.output
        return self.output


def slurm(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


# Tests have no time for the 40 seconds until it first asks how its jobs are.
SOON = "--slurm-init-seconds-before-status-checks 1"
STATISTICS = "results/cluster/statistics/comparisons.csv"


def training(run: Path) -> psutil.Process | None:
    """The process that trains this run, once it is in its loop."""
    if not (run / ".lock").exists():
        return None
    for process in psutil.process_iter(["cmdline", "cwd"]):
        command = process.info["cmdline"] or []
        if "train" in command and "--out" in command:
            out = command[command.index("--out") + 1]
            if Path(process.info["cwd"], out) == run:
                return process
    return None


# Files that hold times or what is computed from times.
TIMED = re.compile(
    r"(^logs/|^probes/.*json$|overhead|\.sha256$|timings\.csv$"
    r"|(provenance|progress|run|finished)\.json$)"
)


def results(folder: Path) -> dict[str, Any]:
    """Name -> content of every result; of a run's record, what is no time and no place."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    found: dict[str, Any] = {
        name: path.read_bytes() for name, path in files.items() if not TIMED.search(name)
    }
    for name, path in files.items():
        if path.name == "run.json":
            record = json.loads(path.read_text())
            keys = ("status", "spec", "code", "episodes", "steps", "final_return", "queries")
            found[name] = {key: record[key] for key in keys}
    return found


def a_study_with_a_run_that_is_killed(folder: Path) -> None:
    """Its job is retried with more memory and time, and what was finished stays."""
    study, here = Study.create(folder / "there"), Study.create(folder / "here")
    workflow = study.start(f"snakemake {STATISTICS} --profile slurm --configfile study.yaml {SOON}")
    local = here.start(f"snakemake {STATISTICS} --profile profiles/local --configfile study.yaml")
    runs = [study.run(selector, seed) for selector in STUDY["selectors"] for seed in STUDY["seeds"]]

    def first_of(find: Callable[[Path], Any], among: list[Path]) -> Any:
        return workflow.wait_for(lambda: next(filter(None, map(find, among)), None))

    finished = first_of(lambda run: run if (run / "run.json").exists() else None, runs)
    record = (finished / "run.json").read_bytes()
    same_job = [run for run in runs if run != finished and run.name == finished.name]
    victim = first_of(training, same_job)
    devices = victim.environ()["CUDA_VISIBLE_DEVICES"]
    victim.kill()
    workflow.succeed()
    local.succeed()

    assert devices in ("0", "1")
    assert (finished / "run.json").read_bytes() == record, "a finished run was trained again"
    *seeds, again = workflow.jobs()
    for attempt, job in ((1, seeds[0]), (1, seeds[1]), (2, again)):
        assert job["NumCPUs"] == "1" and job["TresPerNode"] == "gres:gpu:1"
        assert job["MinMemoryNode"] == f"{attempt * 1500}M"
        assert job["TimeLimit"] == f"00:{attempt * 2 * 7}:00"  # the runs of one seed
        assert (job["Partition"], job["Account"]) == ("standard", "project")
    assert sorted(job["JobState"] for job in seeds) == ["COMPLETED", "FAILED"]
    assert again["JobState"] == "COMPLETED"
    (failed,) = (job for job in seeds if job["JobState"] == "FAILED")
    logs = study.results / "logs"
    assert [path.stem for path in logs.glob("slurm/**/*.log")] == [failed["JobId"]]
    assert len(list(logs.glob("train/Hopper-v5/*/*.log"))) == len(runs)
    ours, theirs = results(study.results), results(here.results)
    assert {"statistics/comparisons.csv", "exports/Hopper-v5.csv"} < set(ours)
    assert set(ours) == set(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []


@dataclass(frozen=True)
class LoneRun:
    """A study of one run in its own job, which a caught process keeps from ending meanwhile."""

    study: Study

    @classmethod
    def create(cls, folder: Path, **resources: Any) -> "LoneRun":
        changes = {"seeds": [1], "selectors": ["duo"], "total_steps": 12 * 1024}
        changes |= {"resources": resources}
        return cls(Study.create(folder / "study", **changes))

    @property
    def path(self) -> Path:
        return self.study.run("duo", 1)

    @property
    def log(self) -> str:
        path = self.study.results / "logs/train/Hopper-v5/duo/1.log"
        return path.read_text() if path.exists() else ""

    def submit(self) -> Workflow:
        target = (self.path / "run.json").relative_to(self.study.folder)
        options = f"--profile profiles/slurm --configfile study.yaml {SOON}"
        return self.study.start(f"snakemake {target} {options}")

    def catch(self, workflow: Workflow, former: psutil.Process | None = None) -> psutil.Process:
        """The process that trains it, the one after `former`, stopped until SLURM continues it."""
        process = workflow.wait_for(
            lambda: not (former and former.is_running()) and training(self.path)
        )
        # The file of its lock is there a moment before it is locked.
        since = process.cpu_times().user
        workflow.wait_for(lambda: process.cpu_times().user > since + 0.2)
        process.suspend()
        return process

    def check_results(self) -> None:
        """They are those of a run that nothing disturbed."""
        of_run = "--study study.yaml --env Hopper-v5 --selector duo --seed 1"
        self.study.start(f"active-rlhf train {of_run} --out undisturbed").succeed()
        tables = ("episodes.csv", "evaluations.csv", "sessions.csv")
        for name in (*tables, "labels.npz", "policy.safetensors"):
            undisturbed = self.study.folder / "undisturbed" / name
            assert (self.path / name).read_bytes() == undisturbed.read_bytes(), name


def resumed(run: LoneRun) -> int:
    return json.loads((run.path / "run.json").read_text())["resumed"]


def a_job_that_outlives_its_snakemake_and_one_that_is_preempted(folder: Path) -> None:
    run = LoneRun.create(folder, partition="spare", gres="seat:1")
    former = run.submit()
    process = run.catch(former)
    former.process.kill()
    run.study.start(UNLOCK).succeed()
    workflow = run.submit()
    workflow.wait_for(lambda: "waiting for its end" in run.log)
    (outlived,) = former.jobs()
    assert outlived["JobState"] == "RUNNING"
    slurm("scancel", "--name", outlived["JobName"])

    process = run.catch(workflow, process)
    slurm("sbatch", "--partition=standard", "--gres=seat:2", "--output=/dev/null", "--wrap=true")
    workflow.wait_for(lambda: not process.is_running())
    workflow.succeed()
    (requeued,) = workflow.jobs()
    assert (requeued["Restarts"], requeued["JobState"]) == ("1", "COMPLETED")
    assert resumed(run) == 2
    run.check_results()


def a_run_that_reaches_its_time_limit(folder: Path) -> None:
    run = LoneRun.create(folder, runtime=20)
    workflow = run.submit()
    process = run.catch(workflow)
    (job,) = workflow.jobs()
    assert job["TimeLimit"] == "00:20:00"
    # The signal is due two minutes before the limit, SLURM looks every thirty seconds.
    slurm("scontrol", "update", f"JobId={job['JobId']}", "TimeLimit=2")
    workflow.wait_for(lambda: not process.is_running())
    workflow.succeed()
    first, second = workflow.jobs()
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    assert second["TimeLimit"] == "00:40:00"
    (log,) = run.study.results.glob(f"logs/slurm/**/{first['JobId']}.log")
    assert "returned non-zero exit status 75" in log.read_text(), "the signal did not reach the run"
    assert resumed(run) == 1
    run.check_results()


def a_run_that_needs_more_memory(folder: Path) -> None:
    run = LoneRun.create(folder, mem_mb=500)
    workflow = run.submit()
    workflow.succeed()
    first, second = workflow.jobs()
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("500M", "1000M")
    (log,) = run.study.results.glob(f"logs/slurm/**/{first['JobId']}.log")
    assert "exceeded memory limit" in log.read_text()


def a_sweep(folder: Path) -> None:
    """Its trials are jobs, and it chooses what it chooses here."""
    space = {"reward_model.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}}
    sweep = {"seeds": [101], "trials": 2, "per_round": 1, "space": space}
    changes = {"selectors": ["random"], "sweep": sweep, "resources": {"mem_mb": 1500}}
    changes |= {"evaluation": {"every": 4096, "episodes": 10}}
    there, here = (Study.create(folder / name, **changes) for name in ("there", "here"))
    command = "snakemake --configfile study.yaml --until choose --profile profiles"
    workflow = there.start(f"{command}/slurm {SOON}")
    here.start(f"{command}/local").succeed()
    workflow.succeed()
    jobs = workflow.jobs()
    assert [job["JobState"] for job in jobs] == ["COMPLETED"] * 2, jobs
    choices = "sweep/choices.json"
    assert (there.results / choices).read_bytes() == (here.results / choices).read_bytes()


STORIES = (
    a_sweep,
    a_study_with_a_run_that_is_killed,
    a_job_that_outlives_its_snakemake_and_one_that_is_preempted,
    a_run_that_reaches_its_time_limit,
    a_run_that_needs_more_memory,
)


@pytest.fixture(scope="module")
def under_way(node, tmp_path_factory) -> Iterator[dict[Callable, Future]]:
    """All at the same time, as they mostly wait for Snakemake to ask how its jobs are."""
    with ThreadPoolExecutor() as pool:
        yield {story: pool.submit(story, tmp_path_factory.mktemp("story")) for story in STORIES}


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_runs_reach_the_results_they_have_here_through(story, under_way):
    under_way[story].result()


@pytest.mark.slow
def test_jobs_can_be_cancelled_without_snakemake(node, tmp_path):
    sleeping = ("--hold", "--output=/dev/null", "--wrap=true")
    names = {slurm("sbatch", "--parsable", f"--job-name={n}", *sleeping).strip(): n for n in NAMES}
    Study.create(tmp_path / "study").start(CANCEL).succeed()
    queue = slurm("squeue", "--noheader", "--format=%i").split()
    assert [names[job] for job in queue if job in names] == ["other_active-rlhf_1"]
    slurm("scancel", "--user=root")


NAMES = ("active-rlhf_1", "active-rlhf_2", "other_active-rlhf_1")


# --- without a cluster ---------------------------------------------------------------------------


DOCS = (REPOSITORY / "docs/cluster.md").read_text()
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", DOCS, re.DOTALL)
    for line in block.splitlines()
]
PROFILE, RESOURCES, KUBERNETES = (
    yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
)
(CANCEL,) = (command for command in COMMANDS if "scancel" in command)
(UNLOCK,) = (command for command in COMMANDS if "--unlock" in command)


def planned(study: Study, arguments: str) -> str:
    return study.start(f"snakemake --configfile study.yaml --dry-run {arguments}").succeed()


def test_only_training_is_submitted_where_the_study_says_and_else_the_profile(tmp_path):
    study = Study.create(tmp_path / "study", resources=RESOURCES["resources"], baselines=True)
    bare = Study.create(tmp_path / "bare", resources={})
    snakefile = 'include: "Snakefile"\nprint("submitted:", sorted({r.name for r in workflow.rules}'
    profile = tmp_path / "profile"
    profile.mkdir()
    content = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text())
    assert set(PROFILE) == {"jobs", "default-resources"}
    content["default-resources"] |= PROFILE["default-resources"]
    (profile / "config.yaml").write_text(yaml.safe_dump(content))

    def asked(study: Study) -> dict[str, str]:
        (study.folder / "every.smk").write_text(f"{snakefile} - workflow._localrules))\n")
        said = planned(study, f"all --profile {profile} --snakefile every.smk")
        assert "submitted: ['probe', 'train']" in said
        job = said.split("rule train:")[1]
        return dict(re.findall(r"(\w+)=([^,\s]+)", job.split("resources:")[1].split("\n")[0]))

    own, default = asked(study), asked(bare)
    assert (own["slurm_partition"], own["slurm_account"]) == ("long", "other_account")
    assert (own["mem_mb"], own["runtime"], own["gres"]) == ("2000", "60", "gpu:1")
    assert (default["slurm_partition"], default["slurm_account"]) == ("my_partition", "my_account")
    assert default["slurm_extra"] == "--signal=TERM@120"
    assert (default["mem_mb"], default["runtime"]) == ("2000", "60") and "gres" not in default


def test_the_documented_commands_are_accepted(tmp_path):
    study = Study.create(tmp_path / "study")
    submit = [command for command in COMMANDS if command.startswith("snakemake --profile")]
    (dry,) = {f"{command.removesuffix(' --dry-run')} --dry-run" for command in submit}
    assert "train" in study.start(f"{dry} --quiet rules").succeed()


def test_another_executor_takes_the_same_study(tmp_path):
    """The Kubernetes profile, with commands that start the script here."""
    study = Study.create(tmp_path / "study", seeds=[1], selectors=["random"])
    profile = tmp_path / "profile"
    profile.mkdir()
    (profile / "config.yaml").write_text(yaml.safe_dump(KUBERNETES))
    for name, script in PODS.items():
        (study.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (study.folder / name).chmod(0o755)
    target = (study.run("random", 1) / "run.json").relative_to(study.folder)
    options = f"--profile {profile} --configfile study.yaml --seconds-between-status-checks 1"
    study.start(f"snakemake {target} {options}").succeed()
    assert (study.folder / target).exists()
    assert (study.folder / "submitted").read_text().startswith("1 1500 ")


PODS = {
    "submit-pod": "echo $@ > submitted; (sh $3; echo $? > ended) > /dev/null 2>&1 & echo $!",
    "status-of-pod": """
[ -e ended ] || { echo running; exit; }
[ "$(cat ended)" = 0 ] && echo success || echo failed
""",
}
