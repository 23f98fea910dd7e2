"""Training one run from its start, or from its last checkpoint, to a finished directory."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from active_rlhf.compute.products import decide
from active_rlhf.compute.threads import single_threaded
from active_rlhf.errors import InputError
from active_rlhf.files import CHECKPOINT, remove_unfinished, sha256
from active_rlhf.run import directory, machine
from active_rlhf.run.checkpoint import PICTURES, ROWS, Checkpoints, Interval
from active_rlhf.run.identity import code_fingerprint
from active_rlhf.run.loop import Run
from active_rlhf.run.reporting import Reporter
from active_rlhf.run.state import restore, state_of
from active_rlhf.run.tracking import Tracker, tracker
from active_rlhf.study.precision import settled_run
from active_rlhf.study.settings import Spec, WandB
from active_rlhf.tasks import NotReproducible
from active_rlhf.teachers import Interrupted


class Stopped(Exception):
    """A run stopped early because it was told to; the message says where it will go on."""


def train(
    spec: Spec,
    out: str | Path,
    tracking: str = "none",
    wandb: WandB | None = None,
    checkpoint_every: float = 60.0,
    force: bool = False,
    replace: bool = False,
    stopping: Callable[[], bool] = lambda: False,
    probe: str | Path | None = None,
) -> None:
    """Train the run that `spec` describes and write its directory `out`; `run.json` comes last.

    The result depends on `spec` alone: not on `tracking`, the number of cores, what else runs, nor
    on how often the run was killed. With `precision: auto`, the faster precision is measured and
    kept in `out`. A run goes on from its last checkpoint; `checkpoint_every` is the seconds of work
    that a kill may cost (0: all of it). A complete run is left alone; `force` starts afresh
    instead. A half-trained run of another spec, code or library version in `out` is refused with an
    InputError or, with `replace`, discarded. Progress goes to standard output and
    `out/progress.json`.

    `probe` is the file of a probe set (`run.probe.make`), on which the reward model is measured
    after each session; without it these measures are missing. It changes nothing else, so a
    complete run that was measured on another set is left alone; a half-trained one starts afresh.

    `stopping` is asked before each rollout; once it says yes, a checkpoint is written and Stopped
    is raised. Raises RunLocked if another process is training the run; FloatingPointError, naming
    step and stage, if anything that is learned or learned from is not finite; InputError if a
    part's own code fails. For the last two, details are saved in `out` (`directory.FAILURE`), and
    the message says where.
    """
    out, probe = Path(out), Path(probe) if probe and spec.labels else None
    name = f"{spec.environment} {spec.method} seed {spec.seed}"

    def say(line: str) -> None:
        print(f"{name}: {line}", file=sys.stderr, flush=True)

    with single_threaded(), directory.locked(out):
        remove_unfinished(out)
        spec, products = settled_run(spec, out)
        if products:
            decide(out, products)
        code = code_fingerprint(spec)  # of the files as they were when the run began
        complete = not force and directory.restore_result(out, spec, code)
        if force or complete:
            shutil.rmtree(out / CHECKPOINT, ignore_errors=True)
        if complete:
            print(f"{name}: complete already in {out}, nothing to do")
            return
        run, checkpoints = to_the_end(
            spec,
            out,
            code,
            name,
            say,
            probe=probe,
            replace=replace,
            tracking=tracking,
            wandb=wandb,
            checkpoint_every=checkpoint_every,
            stopping=stopping,
        )
        directory.write(run, out, code)
        checkpoints.remove()


def to_the_end(
    spec: Spec,
    out: Path,
    code: str,
    name: str,
    say: Callable[[str], None],
    probe: Path | None = None,
    replace: bool = False,
    tracking: str = "none",
    wandb: WandB | None = None,
    checkpoint_every: float = 60.0,
    stopping: Callable[[], bool] = lambda: False,
) -> tuple[Run, Checkpoints]:
    """The finished run, from the last checkpoint in `out` or from its start, and its checkpoints.

    `out` is locked, and its results are the caller's to write. Arguments and exceptions are those
    of `train`.
    """
    directory.forget_failure(out)
    with directory.explained(out):
        run, checkpoints = _begin(spec, code, out / CHECKPOINT, probe, replace, say)
        print(f"{name}: agent {spec.agent.name}, {run.agent.path}", flush=True)
        report = Reporter(name, out, run.behaviour.steps)
        if run.learner:
            run.learner.begin(out, stopping, lambda what: report.waiting(run, what))
        tracked = tracker(tracking, spec, out, run.behaviour.steps, wandb)
        directory.forget_result(out)
        try:
            _finish(run, checkpoints, Interval(checkpoint_every), stopping, tracked, report, say)
        finally:
            tracked.close()
    return run, checkpoints


def _begin(
    spec: Spec,
    code: str,
    folder: Path,
    probe: Path | None,
    replace: bool,
    say: Callable[[str], None],
) -> tuple[Run, Checkpoints]:
    """The run as its last checkpoint left it, or a new one."""
    run = Run(spec, probe)
    text = json.dumps(spec.as_dict(), sort_keys=True)
    identity = {
        "spec": hashlib.sha256(text.encode()).hexdigest(),
        "code": code,
        "probe set": sha256(probe) if probe else "none",
        **machine.arithmetic(),
    }
    journals = () if run.behaviour.pictures is None else (PICTURES,)
    checkpoints = Checkpoints(folder, identity, run.behaviour.row, say, journals)
    if not replace and (other := checkpoints.foreign()):
        raise InputError(
            f"{folder.parent}: holds a half-trained run of other {' and '.join(other)}; "
            "give another --out, or --force to replace it"
        )
    state = checkpoints.load()
    if state is None:
        return run, checkpoints
    try:
        restore(run, state, checkpoints.rows(), *map(checkpoints.rows, journals))
    except NotReproducible as error:
        say(f"cannot go on from a checkpoint, as {error}: starting afresh")
        checkpoints.remove()
        return Run(spec, probe), checkpoints
    say(f"going on from step {run.behaviour.steps:,}")
    return run, checkpoints


def _finish(
    run: Run,
    checkpoints: Checkpoints,
    interval: Interval,
    stopping: Callable[[], bool],
    tracked: Tracker,
    report: Reporter,
    say: Callable[[str], None],
) -> None:
    """Train the run to its end, with checkpoints on the way."""
    while run.done < run.plan.rollouts:
        stop = stopping()
        if stop or interval.due() or run.may_wait():
            tracked.flush()
            try:
                with run.clock.stage("checkpoint"):
                    saved = checkpoints.saved
                    rows, frames = run.behaviour.rows(saved[ROWS]), run.behaviour.pictures
                    new = {} if frames is None else {PICTURES: frames.journal(saved[PICTURES])}
                    checkpoints.save(state_of(run), rows, **new)
            except OSError as error:  # such as a full disk, which may have room the next time
                say(f"no checkpoint at step {run.behaviour.steps:,}: {error}")
            interval.restart()
        if stop:
            raise Stopped(
                f"stopped at step {run.behaviour.steps:,}; "
                f"the same command goes on from step {checkpoints.rows_saved:,}"
            )
        try:
            scalars = run.advance()
        except Interrupted as why:
            raise Stopped(
                f"{why}; the same command goes on from step {checkpoints.rows_saved:,}"
            ) from why
        report(run)
        tracked.record(scalars, run.behaviour.steps)
