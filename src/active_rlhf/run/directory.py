"""A run's directory: its lock, its results, and what a failure leaves in it."""

import csv
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from active_rlhf.compute.products import measured
from active_rlhf.errors import InputError
from active_rlhf.files import CHECKPOINT, LOCK, atomic, result_files, sha256
from active_rlhf.parts import PartError
from active_rlhf.run import machine
from active_rlhf.run.finite import NotFinite
from active_rlhf.run.loop import Run
from active_rlhf.run.saved import save_arrays
from active_rlhf.run.schedule import RECENT_RETURNS
from active_rlhf.study.precision import precisions
from active_rlhf.study.settings import Spec

# Snakemake deletes run.json when it restarts a job that it did not see end; the copy stays.
RESULT, COPY = "run.json", "finished.json"
FAILURE = ("failure.txt", "failure.npz")  # what a failed run leaves: a traceback, arrays


class RunLocked(RuntimeError):
    """The run's directory is in use by another process."""


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other processes from training the same run; the lock ends with the process."""
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


def restore_result(out: Path, spec: Spec, code: str) -> bool:
    """Whether exactly this run is complete; if so, its run.json exists afterwards.

    A run is not trained again because of another probe set, of which it learned nothing.
    """
    for name in (RESULT, COPY):
        try:
            text = (out / name).read_text(encoding="utf-8")
            found = json.loads(text)
            if (found["spec"], found["code"]) != (spec.as_dict(), code):
                continue
            if machine.other_versions(found["versions"]):
                continue
        except (OSError, ValueError, LookupError, TypeError):
            continue
        if name == COPY:
            with atomic(out / RESULT) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return True
    return False


def forget_result(out: Path) -> None:
    """Remove the files that say that a run is complete."""
    for name in (COPY, RESULT):
        (out / name).unlink(missing_ok=True)


def forget_run(out: Path) -> None:
    """Make the next training in `out` start afresh, unless a process is at it now."""
    if not (out / LOCK).exists():
        forget_result(out)
        shutil.rmtree(out / CHECKPOINT, ignore_errors=True)


def forget_failure(out: Path) -> None:
    """Remove what an earlier failure left."""
    for name in FAILURE:
        (out / name).unlink(missing_ok=True)


def write(run: Run, out: Path, code: str) -> None:
    """Write the results of a finished run; `run.json` last, after its copy."""
    columns = ["step", "return", "length", "labels", *(["learned_return"] if run.learner else [])]
    _write_table(run.episodes, columns, out / "episodes.csv")
    columns = ["step", "return_mean", "return_sd", "episodes", "labels"]
    _write_table(run.evaluations, columns, out / "evaluations.csv")
    if learner := run.learner:
        _write_table(learner.records, list(learner.records[0]), out / "sessions.csv")
        _write_table(learner.timings, list(learner.timings[0]), out / "timings.csv")
        learner.save_labels(out / "labels.npz")
        learner.teacher.save_to(out)
        save_arrays(learner.model.arrays(), out / "reward_model.safetensors")
    save_arrays(run.agent.arrays(), out / "policy.safetensors")
    last = [episode["return"] for episode in run.episodes[-RECENT_RETURNS:]]
    spec = run.spec.as_dict()
    summary = {
        "status": "complete",
        "spec": spec,
        "code": code,
        "path": run.agent.path,
        "episodes": len(run.episodes),
        "steps": run.behaviour.steps,
        "final_return": fmean(last) if last else None,
        "queries": run.labels,
        "pending": run.learner.ledger.pending if run.learner else 0,
        "seconds": run.clock.seconds,
        **({"start_from": run.started_from.identity()} if run.started_from else {}),
        "files": {name: sha256(out / name) for name in result_files(run.learner is not None)},
        **({"precision": _precision(run.spec)} if run.learner else {}),
        **({"probe": run.learner.probe.sha256} if run.learner and run.learner.probe else {}),
        **run.cost.state_dict(),
        **machine.description(),
    }
    for name in (COPY, RESULT):
        with atomic(out / name) as temporary:
            temporary.write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")


def _precision(spec: Spec) -> dict[str, str]:
    """What its networks multiplied in, and what speaks for it on this machine."""
    taken, speeds = sorted(set(precisions(spec))), measured()
    return {"taken": " and ".join(taken) or "float32", "faster": speeds.faster, "why": str(speeds)}


def _write_table(rows: list[dict[str, Any]], columns: list[str], path: Path) -> None:
    """Write a table, with missing numbers as empty cells."""
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        for row in rows:
            # only NaN differs from itself
            table.writerow({name: value if value == value else "" for name, value in row.items()})


@contextmanager
def explained(out: Path) -> Iterator[None]:
    """Save a failure's details in the run's directory, and say in its message where they are."""
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
