"""The loop of one run: act, ask, learn the reward, improve the policy."""

import csv
import ctypes
import fcntl
import hashlib
import json
import os
import platform
import resource
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from active_rlhf.agents.policy import Policy
from active_rlhf.agents.ppo import update as ppo
from active_rlhf.agents.reward_scaling import RewardScale
from active_rlhf.behaviour.store import SegmentStore
from active_rlhf.compute import precision
from active_rlhf.compute.compilation import COMPILED
from active_rlhf.errors import InputError
from active_rlhf.files import (
    CHECKPOINT,
    LOCK,
    atomic,
    remove_unfinished,
    result_files,
    sha256,
)
from active_rlhf.run.checkpoint import Checkpoints, Interval
from active_rlhf.run.clock import Clock
from active_rlhf.run.finite import NotFinite, check, check_behaviour
from active_rlhf.run.identity import code_fingerprint
from active_rlhf.run.reporting import Reporter
from active_rlhf.run.saved import save_arrays
from active_rlhf.run.schedule import RECENT_RETURNS, Plan
from active_rlhf.run.session import PreferenceLearner
from active_rlhf.run.tracking import Tracker, tracker
from active_rlhf.study.parts import PartError
from active_rlhf.tasks.rollout import Actor, NotReproducible, Rollout, collect, evaluate

# One stream a purpose: runs with the same seed share environment, initial policy and teacher
# noise whatever their selector draws.
STREAMS = (
    "environment",
    "initial_policy",
    "exploration",
    "minibatches",
    "teacher",
    "candidates",
    "selector",
    "split",
    "reward_model",
    "vae",
    "probe",
    "evaluation",
)
# A workflow deletes run.json when it restarts a job whose end it did not see; the copy stays.
RESULT, COPY = "run.json", "finished.json"
FAILURE = ("failure.txt", "failure.npz")  # what a failed run leaves: a traceback, arrays
NO_COST = {"resumed": 0, "wall_s": 0.0, "cpu_s": 0.0, "peak_rss_mb": 0.0}
LIBRARIES = ("gymnasium", "mujoco", "numba", "numpy", "scipy", "torch")


class Run:
    """One run under way: everything that its next rollout depends on."""

    def __init__(self, spec: dict[str, Any]):
        self.begun, self.former_cost = time.perf_counter(), NO_COST | {"started": time.time()}
        self.spec, self.clock = spec, Clock()
        sequences = np.random.SeedSequence(spec["seed"]).spawn(len(STREAMS))
        self.streams = dict(zip(STREAMS, map(np.random.default_rng, sequences), strict=True))
        plan = Plan.of(spec)
        self.size, self.rollouts = plan.size, plan.rollouts
        self.done = 0  # rollouts
        with self.clock.stage("startup"):
            self.actor, self.judge = (
                Actor(spec["environment"], int(self.streams[name].integers(2**31)))
                for name in ("environment", "evaluation")
            )
            shape = self.actor.observation_size, self.actor.action_size
            self.policy = Policy.initial(*shape, self.streams["initial_policy"])
            self.untrained = spec["selector"] == "random_policy"
            if self.untrained:
                self.policy.parameters.flat[:] = 0
            self.optimiser = ppo.optimiser(self.policy.parameters.flat.size)
            self.store = SegmentStore(plan.steps, self.actor.low, self.actor.high, shape[0])
            self.scale = RewardScale(spec["ppo"]["gamma"])
            self.learner = (
                PreferenceLearner(spec, self.actor, self.store, self.streams, self.clock)
                if "selection" in spec
                else None
            )
        self.episodes: list[dict[str, Any]] = []
        self.evaluations: list[dict[str, Any]] = []

    @property
    def labels(self) -> int:
        """Queries asked so far."""
        return self.learner.ledger.asked if self.learner else 0

    def advance(self) -> dict[str, float]:
        """Collect one rollout, ask if it is time to, and improve the policy; scalars to track."""
        learner, clock, config = self.learner, self.clock, self.spec["ppo"]
        begin = len(self.episodes)
        with clock.stage("environment"):
            exploration = self.streams["exploration"]
            rollout = collect(
                self.actor, self.policy, self.size, exploration, uniform=self.untrained
            )
            check_behaviour(self.store.steps, rollout, self.actor.raw)
            self._note_episodes(rollout)
        if learner:
            with clock.stage("startup"):  # once; not sooner, that the first steps come soon
                precision.load()
        if learner and self.done in learner.schedule:
            past = [episode["return"] for episode in self.episodes]
            learner.session(self.policy, past, *learner.schedule[self.done])
            _release_memory()
        with clock.stage("prediction"):
            rewards = rollout.rewards
            if learner:
                rewards = learner.ensemble.rewards(rollout.observations, rollout.actions)
            check(self.store.steps, "prediction", rewards=rewards, inputs=rollout.observations)
            rewards = self.scale(rewards, rollout.ended)
        losses = None
        if not self.untrained:
            with clock.stage("policy_update"):
                share = 1.0 - self.done / self.rollouts if config["anneal"] else 1.0
                batch = ppo.batch(rollout, rewards, self.policy, config)
                losses = ppo.update(
                    *(self.policy, self.optimiser, batch, config),
                    *(config["learning_rate"] * share, self.streams["minibatches"]),
                )
                check(
                    self.store.steps,
                    "policy_update",
                    **{"parameters": self.policy.parameters.flat, **batch._asdict()},
                    **{f"{name}_loss": value for name, value in vars(losses).items()},
                )
        self.done += 1
        every, steps = self.spec["evaluation"]["every"], self.store.steps
        if steps // every > (steps - self.size) // every or self.done == self.rollouts:
            self._evaluate()
        return _scalars(losses, self.episodes[begin:], learner, self.evaluations)

    def _note_episodes(self, rollout: Rollout) -> None:
        """Append the rollout to the store and the episodes that ended in it to the list."""
        store, done = self.store, len(self.episodes)
        store.append(rollout)
        starts, lengths, finished = (column[done:] for column in store.episodes())
        for start, length in zip(starts[finished], lengths[finished], strict=True):
            self.episodes.append(
                {
                    "step": int(start + length),
                    "return": float(store.rewards[start : start + length].sum()),
                    "length": int(length),
                    "labels": self.labels,
                }
            )

    def _evaluate(self) -> None:
        with self.clock.stage("evaluation"):
            returns = evaluate(self.judge, self.policy, self.spec["evaluation"]["episodes"])
            check(self.store.steps, "evaluation", returns=returns)
        self.evaluations.append(
            {
                "step": self.store.steps,
                "return_mean": float(returns.mean()),
                "return_sd": float(returns.std(ddof=1)) if len(returns) > 1 else 0.0,
                "episodes": len(returns),
                "labels": self.labels,
            }
        )

    def status(self) -> dict[str, Any]:
        """How far it is, for a Reporter."""
        return {
            "step": self.store.steps,
            "total_steps": self.rollouts * self.size,
            "labels": self.labels,
            "labels_total": self.spec["labels"]["total"] if self.learner else 0,
            "last_return": self.episodes[-1]["return"] if self.episodes else None,
        }

    def _generators(self) -> dict[str, np.random.Generator]:
        return self.streams | {"judge": self.judge.env.np_random}

    def _agent(self) -> list[np.ndarray]:
        return [self.policy.parameters.flat, *self.policy.moments, *self.optimiser]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the store, as a tree for a checkpoint."""
        return {
            "done": self.done,
            "streams": {name: g.bit_generator.state for name, g in self._generators().items()},
            "actor": self.actor.state_dict(),
            "agent": self._agent(),
            "scale": vars(self.scale),
            "learner": self.learner.state_dict() if self.learner else None,
            "episodes": self.episodes,
            "evaluations": self.evaluations,
            "seconds": self.clock.seconds,
            "cost": _cost(self.former_cost, self.begun),
        }

    def load_state_dict(self, state: dict[str, Any], rows: Iterable[np.ndarray]) -> None:
        """Take a new run to where another one was, whose store gave `rows`.

        Raises NotReproducible if the environment does not come back to where it was.
        """
        for part in rows:
            self.store.extend(part)
        steps, elapsed = self.store.steps, state["actor"]["elapsed"]
        episode = slice(steps - elapsed, steps)
        self.actor.load_state_dict(
            state["actor"], self.store.actions[episode], self.store.rewards[episode]
        )
        for name, generator in self._generators().items():
            generator.bit_generator.state = state["streams"][name]
        for array, saved in zip(self._agent(), state["agent"], strict=True):
            array[:] = saved
        self.done, self.scale = state["done"], RewardScale(**state["scale"])
        if self.learner:
            self.learner.load_state_dict(state["learner"])
        self.episodes, self.evaluations = state["episodes"], state["evaluations"]
        for stage, seconds in state["seconds"].items():
            self.clock.add(stage, seconds)
        self.former_cost = state["cost"] | {"resumed": state["cost"]["resumed"] + 1}

    def write(self, out: Path, code: str) -> None:
        """Write the results of a run that is done; `run.json` last, after its copy."""
        learner = self.learner
        _write_csv(self.episodes, ["step", "return", "length", "labels"], out / "episodes.csv")
        columns = ["step", "return_mean", "return_sd", "episodes", "labels"]
        _write_csv(self.evaluations, columns, out / "evaluations.csv")
        if learner:
            _write_csv(learner.sessions, list(learner.sessions[0]), out / "sessions.csv")
            _write_csv(learner.timings, list(learner.timings[0]), out / "timings.csv")
            learner.save_labels(out / "labels.npz")
            save_arrays(learner.ensemble.arrays(), out / "reward_model.safetensors")
        save_arrays(self.policy.arrays(), out / "policy.safetensors")
        last = [episode["return"] for episode in self.episodes[-RECENT_RETURNS:]]
        summary = {
            "status": "complete",
            "spec": self.spec,
            "code": code,
            "episodes": len(self.episodes),
            "steps": self.store.steps,
            "final_return": fmean(last) if last else None,
            "queries": self.labels,
            "seconds": self.clock.seconds,
            "files": {name: sha256(out / name) for name in result_files(self.spec)},
            **_cost(self.former_cost, self.begun),
            **_machine(),
        }
        for name in (COPY, RESULT):
            with atomic(out / name) as temporary:
                temporary.write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Keep a second process from training the same run; the lock goes with the process."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / LOCK
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = os.fstat(lock.fileno()).st_nlink == 0  # removed between opening and locking
        except BlockingIOError:
            taken = True
        if taken:
            raise RunLocked(f"{out}: another process is training this run")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


class RunLocked(RuntimeError):
    """The run's directory is in use by another process."""


class Stopped(Exception):
    """A run ended before its end because it was told to; the message says where it goes on."""


def train(
    spec: dict[str, Any],
    out: str | Path,
    tracking: str = "none",
    checkpoint_every: float = 60.0,
    force: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Train the run that `spec` describes and write its directory `out`; `run.json` comes last.

    The result depends on `spec` alone: not on `tracking`, the number of cores, what else runs, nor
    on how often the run was killed. A run goes on from its last checkpoint; `checkpoint_every` is
    the seconds of work that a kill may cost (0: all of it). One that is complete is left alone.
    `force` starts afresh instead. Progress goes to standard output and `out/progress.json`.

    `stopping` is asked before each rollout; once it says yes there is a checkpoint and Stopped.
    Raises RunLocked if another process is at it; FloatingPointError, naming step and stage, if
    anything that is learned or learned from is not finite; InputError if a selector's or teacher's
    own code fails. What shows either is kept in `out` (FAILURE), and named.
    """
    out = Path(out)
    name = "{environment} {selector} seed {seed}".format(**spec)

    def say(line: str) -> None:
        print(f"{name}: {line}", file=sys.stderr, flush=True)

    quiet = np.errstate(over="ignore", invalid="ignore")  # what is not finite is checked for
    with _locked(out), threadpool_limits(1), quiet:
        remove_unfinished(out)
        code = code_fingerprint(spec)  # of the files as they were when the run began
        complete = not force and _restore_result(out, spec, code)
        if force or complete:
            shutil.rmtree(out / CHECKPOINT, ignore_errors=True)
        if complete:
            print(f"{name}: complete already in {out}, nothing to do")
            return
        for former in FAILURE:
            (out / former).unlink(missing_ok=True)
        with _explained(out):
            run, checkpoints = _begin(spec, code, out / CHECKPOINT, say)
            tracked = tracker(tracking, spec, out, run.store.steps)
            for former in (COPY, RESULT):
                (out / former).unlink(missing_ok=True)
            try:
                report = Reporter(name, out, run.store.steps)
                _train(run, checkpoints, Interval(checkpoint_every), stopping, tracked, report, say)
            finally:
                tracked.close()
        run.write(out, code)
        checkpoints.remove()


def _restore_result(out: Path, spec: dict[str, Any], code: str) -> bool:
    """Whether just this run is complete; if so, its run.json is there afterwards."""
    for name in (RESULT, COPY):
        try:
            text = (out / name).read_text(encoding="utf-8")
            found = json.loads(text)
            if (found["spec"], found["code"]) != (spec, code):
                continue
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if name == COPY:
            with atomic(out / RESULT) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return True
    return False


def _begin(
    spec: dict[str, Any], code: str, folder: Path, say: Callable[[str], None]
) -> tuple[Run, Checkpoints]:
    """The run where its last checkpoint left it, or at its start."""
    run = Run(spec)
    identity = {
        "spec": hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest(),
        "code": code,
        **_arithmetic(),
    }
    checkpoints = Checkpoints(folder, identity, run.store.row, say)
    state = checkpoints.load()
    if state is None:
        return run, checkpoints
    try:
        run.load_state_dict(state, checkpoints.rows())
    except NotReproducible as error:
        say(f"cannot go on from a checkpoint, as {error}: starting afresh")
        checkpoints.remove()
        return Run(spec), checkpoints
    say(f"going on from step {run.store.steps:,}")
    return run, checkpoints


def _train(
    run: Run,
    checkpoints: Checkpoints,
    interval: Interval,
    stopping: Callable[[], bool],
    tracked: Tracker,
    report: Reporter,
    say: Callable[[str], None],
) -> None:
    """Take the run to its end, with checkpoints on the way."""
    while run.done < run.rollouts:
        stop = stopping()
        if stop or interval.due():
            tracked.flush()
            try:
                with run.clock.stage("checkpoint"):
                    checkpoints.save(run.state_dict(), run.store.rows(checkpoints.rows_saved))
            except OSError as error:  # such as a full disk; there may be room the next time
                say(f"no checkpoint at step {run.store.steps:,}: {error}")
            interval.restart()
        if stop:
            raise Stopped(
                f"stopped at step {run.store.steps:,}; "
                f"the same command goes on from step {checkpoints.rows_saved:,}"
            )
        scalars = run.advance()
        report(run.status())
        tracked.record(scalars, run.store.steps)


def _write_csv(rows: list[dict[str, Any]], columns: list[str], path: Path) -> None:
    """A table whose missing numbers are empty cells."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        for row in rows:
            # NaN is what differs from itself
            table.writerow({name: value if value == value else "" for name, value in row.items()})


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Keep what a failure knows in the run's directory, and say so in its message."""
    account, dump = (out / name for name in FAILURE)
    try:
        yield
    except NotFinite as failure:
        with atomic(dump) as temporary:
            np.savez(temporary, **failure.arrays)
        kept = ", ".join(failure.arrays)
        raise FloatingPointError(f"{failure}; {kept} are in {dump}") from failure
    except PartError as failure:
        with atomic(account) as temporary:
            temporary.write_text(failure.account, encoding="utf-8")
        raise InputError(f"{failure}; its traceback is in {account}") from failure


def _release_memory() -> None:
    """Give back the pages that a session's arrays were in; glibc would keep some 30 MB of them."""
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _scalars(
    losses: ppo.Losses | None,
    episodes: list[dict[str, Any]],
    learner: PreferenceLearner | None,
    evaluations: list[dict[str, Any]],
) -> dict[str, float]:
    scalars = {f"losses/{name}": value for name, value in vars(losses).items()} if losses else {}
    if episodes:
        scalars["charts/episodic_return"] = episodes[-1]["return"]
    if evaluations:
        scalars["charts/evaluation_return"] = evaluations[-1]["return_mean"]
    if learner and learner.sessions:
        latest = learner.sessions[-1]
        scalars |= {
            f"reward_model/{k}": latest[k] for k in latest if k.endswith(("loss", "accuracy"))
        }
        scalars["charts/labels"] = latest["labels"]
    return scalars


def _cost(former: dict[str, Any], begun: float) -> dict[str, Any]:
    """What the run took in this process, begun then, and in those before it.

    What a killed process did after its last checkpoint is not in it.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1024 if platform.system() == "Linux" else 1024**2  # kilobytes, but bytes on macOS
    return {
        "started": former["started"],
        "finished": time.time(),
        "resumed": former["resumed"],
        "wall_s": former["wall_s"] + time.perf_counter() - begun,
        "cpu_s": former["cpu_s"] + usage.ru_utime + usage.ru_stime,
        "gpu_s": 0.0,  # nothing here runs on a GPU
        "peak_rss_mb": max(former["peak_rss_mb"], usage.ru_maxrss / unit),
    }


def _arithmetic() -> dict[str, str]:
    """What else than spec, code and processor decides a run's bytes."""
    kernels = "compiled" if COMPILED else "eager"
    return {"kernels": kernels} | {name: version(name) for name in LIBRARIES}


def _machine() -> dict[str, Any]:
    own = {"python": platform.python_version(), "active-rlhf": version("active-rlhf")}
    return {
        "versions": own | _arithmetic(),
        "host": socket.gethostname(),
        "cpu": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor()
