"""Runs and studies that are killed, told to stop or short of disk, and then started again.

Whatever happened, the results are those of an undisturbed run, byte for byte.
"""

import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_files import assert_same_results
from small_runs import IN_STEP, ROLLOUT, SMALL, spec

from active_rlhf.run.checkpoint import LATEST, PREVIOUS
from active_rlhf.run.tracking import event_folder

pytestmark = pytest.mark.slow  # by the many tries

REPOSITORY = Path(__file__).parents[2]
PENDULUM = spec("Pendulum-v1", "random")
# Compiled and with a VAE; through gymnasium; through gymnasium with episodes that end early; in
# several environments in step.
RUNS: list[tuple[str, str, dict[str, Any]]] = [
    ("Hopper-v5", "hybrid", {}),
    ("Pendulum-v1", "random", {}),
    ("InvertedPendulum-v5", "true_reward", {}),
    ("Pendulum-v1", "duo", IN_STEP),
]


# --- processes -----------------------------------------------------------------------------------

# Forked from a process that has everything loaded, so that starting is quick.
FORKED = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def ready_to_train() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([*sys.path, str(Path(__file__).parent)]))
        FORKED.set_forkserver_preload(["ready_to_train"])
        forkserver.ensure_running()


def _in_a_process(out: Path, prepare: Callable | None, arguments: tuple, options: dict) -> None:
    with open(f"{out}.log", "a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if prepare:
        prepare(*arguments)
    from active_rlhf.run.training import Stopped, train

    if "rollouts" in options:
        left = iter(range(options.pop("rollouts")))
        options["stopping"] = lambda: next(left, None) is None
    try:
        train(out=out, **options)
    except Stopped as stopped:
        sys.exit(str(stopped))


def begin(out: Path, prepare: Callable | None = None, arguments: tuple = (), **options: Any):
    """Train in a separate process, after `prepare(*arguments)`, for at most `rollouts`."""
    options = {"checkpoint_every": 1e-3} | options
    process = FORKED.Process(target=_in_a_process, args=(out, prepare, arguments, options))
    process.start()
    return process


def complete(out: Path, *arguments: Any, **options: Any) -> Path:
    process = begin(out, *arguments, **options)
    process.join()
    assert process.exitcode == 0, log(out)
    return out


def log(out: Path) -> str:
    return Path(f"{out}.log").read_text()


def result(out: Path) -> dict[str, Any]:
    return json.loads((out / "run.json").read_text())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Callable[[dict], Path]:
    """The directory of an undisturbed run that wrote no checkpoint."""
    folder, runs = tmp_path_factory.mktemp("undisturbed"), {}

    def directory(spec: dict[str, Any]) -> Path:
        key = json.dumps(spec.as_dict())
        if key not in runs:
            runs[key] = complete(folder / str(len(runs)), spec=spec, checkpoint_every=0)
        return runs[key]

    return directory


@pytest.fixture(scope="module")
def nearly(tmp_path_factory) -> Path:
    """A run that was told to stop one rollout before its end, with two generations."""
    out = tmp_path_factory.mktemp("nearly") / "run"
    process = begin(out, spec=PENDULUM, rollouts=59)
    process.join()
    assert process.exitcode == 1
    return out


@pytest.fixture
def stopped(nearly, tmp_path) -> Path:
    """A copy of it."""
    shutil.copy(f"{nearly}.log", f"{tmp_path / 'run'}.log")
    return Path(shutil.copytree(nearly, tmp_path / "run"))


def assert_nothing_is_left(out: Path) -> None:
    assert not (out / "checkpoint").exists()
    assert not list(out.glob(".*"))


# --- SIGKILL -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("environment", "selector", "changes"), RUNS)
def test_a_run_killed_at_random_moments_ends_as_if_nothing_had_been(
    environment, selector, changes, tmp_path, undisturbed
):
    wanted, out = spec(environment, selector, **changes), tmp_path / "run"
    chance = random.Random(f"{environment} {selector}")
    reference = undisturbed(wanted)
    duration, kills = result(reference)["wall_s"], 0
    while kills < 4:
        process = begin(out, spec=wanted)
        if kills:  # on a busy machine too, these come after a checkpoint
            wait_until(partial(_under_way, out, process))
        process.join(chance.uniform(0.1, 0.6) * duration)
        if process.exitcode == 0:  # done already; there are kills left
            assert_same_results(out, reference)
            shutil.rmtree(out)
            duration *= 0.7  # the machine was slower when that was measured
            continue
        process.kill()
        process.join()
        kills += 1
    complete(out, spec=wanted)
    assert_same_results(out, reference)
    assert_nothing_is_left(out)
    assert "going on from step" in log(out) and "afresh" not in log(out)
    assert result(out)["resumed"] <= log(out).count("going on from step")


def _under_way(out: Path, process: Any) -> bool:
    return any(out.glob("checkpoint/*")) or process.exitcode is not None


def _copied_at_the_end(out: Path) -> None:
    """Copy what a kill would leave at each renaming or removal from the first result on."""
    armed, number = False, itertools.count()

    def watch(event: str, arguments: tuple) -> None:
        nonlocal armed
        if event == "open" and ".episodes." in str(arguments[0]):
            armed = True
        if armed and event in ("os.rename", "os.remove", "os.rmdir"):
            shutil.copytree(out, out.with_name(f"killed-{next(number):02}"))

    sys.addaudithook(watch)


def test_a_kill_at_any_moment_of_the_end_leaves_a_run_to_resume_or_a_complete_one(
    stopped, undisturbed
):
    complete(stopped, _copied_at_the_end, (stopped,), spec=PENDULUM)
    found = []
    for out in sorted(stopped.parent.glob("killed-*")):
        was_complete = (out / "run.json").exists() or (out / "finished.json").exists()
        complete(out, spec=PENDULUM)
        assert ("complete already" in log(out)) == was_complete
        assert ("going on from step 3,776" in log(out)) != was_complete
        assert_same_results(out, undisturbed(PENDULUM))
        assert_nothing_is_left(out)
        found.append(was_complete)
    assert found == sorted(found) and set(found) == {False, True}


# --- SIGTERM and the like ------------------------------------------------------------------------


def command(out: Path, spec: dict[str, Any], *arguments: str) -> subprocess.Popen[str]:
    path = out.with_suffix(".json")
    path.write_text(json.dumps(spec.as_dict()))
    train = [sys.executable, "-m", "active_rlhf.cli", "train", "--spec", str(path)]
    return subprocess.Popen(
        [*train, "--out", str(out), *arguments],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


LONG = spec("Pendulum-v1", "random", rollouts=1500)


def test_a_run_told_to_stop_says_where_and_goes_on_from_there(tmp_path, undisturbed):
    out, chance = tmp_path / "run", random.Random(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        progress = modified(out / "progress.json")
        process = command(out, LONG)
        wait_until(lambda: modified(out / "progress.json") != progress)  # noqa: B023
        time.sleep(chance.uniform(0, 0.3))
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == (130 if number == signal.SIGINT else 75), errors
        *_, line = errors.splitlines()
        step = line.split("stopped at step ")[1].split(";")[0]
        assert line.endswith(f"stopped at step {step}; the same command goes on from step {step}")
        assert not (out / "run.json").exists() and not (out / ".lock").exists()
    process = command(out, LONG)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and f"going on from step {step}" in errors
    assert result(out)["resumed"] == 2
    assert_same_results(out, undisturbed(LONG))


def handles(process: subprocess.Popen, number: int) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_signal_while_starting_means_again_too(tmp_path):
    process = command(tmp_path / "run", LONG)
    wait_until(lambda: handles(process, signal.SIGUSR1))
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=60)
    assert process.returncode == 75 and not (tmp_path / "run" / "run.json").exists()


def test_a_second_process_waits_for_the_first_and_goes_on_where_it_was_killed(
    tmp_path, undisturbed
):
    out = tmp_path / "run"
    first = command(out, LONG, "--checkpoint-every", "0.2")
    wait_until((out / "checkpoint" / LATEST).exists)
    second, third = command(out, LONG), command(out, LONG)
    assert "waiting for its end" in second.stderr.readline()
    assert "waiting for its end" in third.stderr.readline()
    third.send_signal(signal.SIGTERM)
    assert third.wait(60) == 75
    assert first.poll() is None
    first.kill()
    first.communicate()
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 0 and "going on from step" in errors
    assert_same_results(out, undisturbed(LONG))
    assert_nothing_is_left(out)


# --- what else may have happened -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("torn", "line"),
    [
        ([LATEST], "latest is damaged, going on from previous"),
        ([LATEST, PREVIOUS], "latest is damaged, previous is damaged; starting afresh"),
    ],
)
def test_torn_files_are_noticed(torn, line, stopped, undisturbed):
    for name in torn:
        path = stopped / "checkpoint" / name
        os.truncate(path, path.stat().st_size - 1)
    complete(stopped, spec=PENDULUM)
    assert line in log(stopped)
    assert result(stopped)["resumed"] == ("afresh" not in line)
    assert_same_results(stopped, undisturbed(PENDULUM))


def test_a_checkpoint_of_another_run_is_not_used(stopped, undisturbed):
    other = spec("Pendulum-v1", "random", seed=2, rollouts=30)
    refused = begin(stopped, spec=other)
    refused.join()
    said = "holds a half-trained run of other spec; give another --out, or --force to replace it"
    assert refused.exitcode == 1 and said in log(stopped)
    complete(stopped, spec=other, replace=True)
    assert "latest is of other spec, previous is of other spec; starting afresh" in log(stopped)
    assert_same_results(stopped, undisturbed(other))


def test_force_starts_afresh(stopped, undisturbed):
    complete(stopped, spec=PENDULUM, force=True)
    assert "going on" not in log(stopped) and result(stopped)["resumed"] == 0
    first = result(stopped)["started"]
    complete(stopped, spec=PENDULUM)
    assert result(stopped)["started"] == first
    complete(stopped, spec=PENDULUM, force=True)
    assert result(stopped)["started"] > first
    assert_same_results(stopped, undisturbed(PENDULUM))


def test_costs_are_those_of_all_processes(stopped):
    before = time.time()
    complete(stopped, spec=PENDULUM)
    cost = result(stopped)
    assert cost["started"] < before < cost["finished"]
    assert cost["wall_s"] < cost["finished"] - cost["started"]  # not the time between them
    assert sum(cost["seconds"].values()) == pytest.approx(cost["wall_s"], rel=0.3)
    assert 0 < cost["seconds"]["checkpoint"] < cost["wall_s"]
    progress = json.loads((stopped / "progress.json").read_text())
    # The speed of this process, which did one rollout, not that of a process that did them all.
    assert progress["steps_per_second"] * (progress["updated"] - progress["started"]) < 2 * ROLLOUT


def test_event_files_hold_every_step_once(tmp_path):
    out, chance = tmp_path / "run", random.Random(2)
    options = {"spec": PENDULUM, "tracking": "tensorboard"}
    signs = out / "checkpoint" / LATEST, out / "run.json"  # a busy machine may see only the last
    for _ in range(3):
        process = begin(out, **options)
        wait_until(lambda: any(sign.exists() for sign in signs))
        process.join(chance.uniform(0, 0.2))
        process.kill()
        process.join()
    complete(out, **options)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(event_folder(PENDULUM, out)))
    events.Reload()
    steps = [event.step for event in events.Scalars("losses/policy")]
    assert steps == [ROLLOUT * k for k in range(1, 61)]


# --- Snakemake -----------------------------------------------------------------------------------


class Workflow:
    """The runs of a small study, one a seed, without what is made of them."""

    def __init__(self, folder: Path, seeds: list[int], rollouts: int):
        self.folder = folder
        study = SMALL | {"environments": ["Pendulum-v1"], "selectors": ["random"], "seeds": seeds}
        study |= {"total_steps": rollouts * ROLLOUT, "checkpoint_every": 0.1}
        text = yaml.safe_dump(study)
        (folder / "study.yaml").write_text(text)
        runs = folder / "results/kills/runs/Pendulum-v1/random"
        self.runs = {
            runs / str(seed): spec("Pendulum-v1", "random", seed, rollouts) for seed in seeds
        }

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        targets = [str((run / "run.json").relative_to(self.folder)) for run in self.runs]
        profile = ["--profile", str(REPOSITORY / "profiles/local"), "--cores", "2"]
        study = ["--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", "study.yaml"]
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *targets, *profile, *study, *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen[str]) -> None:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output

    def having(self, name: str) -> set[Path]:
        return {run for run in self.runs if (run / name).exists()}

    def unfinished(self) -> set[Path]:
        """Runs that have a checkpoint to go on from."""
        return self.having("checkpoint/latest") - self.having("run.json")

    def started(self) -> dict[Path, float]:
        """When each complete run was started, which changes if it is trained again."""
        return {run: result(run)["started"] for run in self.having("run.json")}


def test_a_study_killed_again_and_again_trains_nothing_twice(tmp_path, undisturbed):
    study = Workflow(tmp_path, seeds=[1, 2, 3], rollouts=600)

    # Snakemake alone is killed; its jobs go on, and the next one's wait for them.
    process = study.begin()
    wait_until(lambda: len(study.unfinished()) == 2)
    under_way = study.unfinished()
    process.kill()
    process.wait()
    study.end(study.begin("--unlock"))

    # Everything is killed at once, as when a machine goes down.
    process = study.begin()
    wait_until(lambda: under_way <= study.having("run.json") and study.unfinished())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    complete, cut = study.started(), study.unfinished()
    study.end(study.begin("--unlock"))

    study.end(study.begin())
    assert complete.items() <= study.started().items()
    for run, of in study.runs.items():
        assert result(run)["resumed"] == (run in cut)
        assert_same_results(run, undisturbed(of))
        assert_nothing_is_left(run)


def test_two_workflows_at_once_damage_nothing(tmp_path, undisturbed):
    study = Workflow(tmp_path, seeds=[1], rollouts=1500)
    first = study.begin()
    wait_until(lambda: list(tmp_path.glob(".snakemake/locks/*")))
    forced, refused = study.begin("--nolock"), study.begin()
    output, _ = refused.communicate(timeout=60)
    assert refused.returncode != 0 and "Directory cannot be locked" in output
    study.end(forced)
    study.end(first)
    for run, of in study.runs.items():
        assert result(run)["resumed"] == 0
        assert_same_results(run, undisturbed(of))
        assert_nothing_is_left(run)
