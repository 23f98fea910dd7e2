"""`active-rlhf watch`: how far the runs of a study are, while something else trains them.

Training writes `progress.json` into each run directory and `run.json` when it is done; this module
only looks at these files, so it watches a laptop, a cluster or a study started elsewhere alike.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from active_rlhf.run.identity import code_fingerprint
from active_rlhf.run.schedule import Plan
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.matrix import folder_name, study_runs
from active_rlhf.study.settings import Spec, Study

SILENT_AFTER = 180.0  # seconds without a sign of life, after which a run no longer counts as going
LIVE_EVERY, LOG_EVERY = 1.0, 10.0  # seconds between two looks, in a terminal and in a log
LISTED_RUNS = 12  # running runs shown in full
LOG_LINES = 30  # lines of a failed command's log that are printed


@dataclass
class RunProgress:
    """What is known of one run: `state` is waiting, running or done, `rate` in steps a second."""

    environment: str
    selector: str
    seed: int
    directory: Path
    total_steps: int
    state: str = "waiting"
    steps: int = 0
    rate: float = 0.0
    labels: int = 0
    labels_total: int = 0
    last_return: float | None = None
    updated: float = 0.0
    seen: tuple[int, int] = (0, 0)  # modification times of progress.json and run.json at last look


@dataclass(frozen=True)
class Snapshot:
    """The whole study at one moment. `seconds_left` is None until a first rate is known."""

    running: list[RunProgress] = field(default_factory=list)
    runs_done: int = 0
    runs_total: int = 0
    steps_done: int = 0
    steps_total: int = 0
    seconds_left: float | None = None


class Watcher:
    """Keeps the state of every run of a study and looks only at files that changed."""

    def __init__(self, study: Study, results: Path) -> None:
        @cache
        def spec(environment: str, selector: str) -> tuple[Spec, str]:
            resolved = resolve_run(study, environment, selector, study.seeds[0])
            return resolved, code_fingerprint(resolved)

        self._spec = spec
        self._runs = [
            RunProgress(
                environment,
                selector,
                seed,
                results / "runs" / folder_name(environment) / selector / str(seed),
                Plan.of(spec(environment, selector)[0]).steps,
            )
            for environment, selector, seed in study_runs(study)
        ]

    def look(self, now: float | None = None) -> Snapshot:
        """The study as its files tell it at `now` (Unix seconds; default: the clock)."""
        now = time.time() if now is None else now
        begun: dict[Path, set[str]] = {}
        for run in self._runs:
            if run.state == "done":
                continue
            parent = run.directory.parent
            if parent not in begun:
                begun[parent] = set(os.listdir(parent)) if parent.is_dir() else set()
            if str(run.seed) in begun[parent]:
                self._read(run)
                if run.state == "running" and now - run.updated > SILENT_AFTER:
                    run.state = "waiting"
        return self._snapshot()

    def _read(self, run: RunProgress) -> None:
        seen = (_modified(run.directory / "progress.json"), _modified(run.directory / "run.json"))
        if seen == run.seen:
            return
        run.seen = seen
        result = _read_json(run.directory / "run.json")
        if result and self._is_current(run, result):
            run.state, run.steps = "done", run.total_steps
            run.rate = run.total_steps / max(float(result.get("wall_s") or 0.0), 1e-9)
            return
        progress = _read_json(run.directory / "progress.json")
        if progress and progress.get("status") == "running":
            run.state = "running"
            run.steps = int(progress["step"])
            run.rate = float(progress["steps_per_second"] or 0.0)
            run.labels = int(progress["labels"] or 0)
            run.labels_total = int(progress["labels_total"] or 0)
            run.last_return = progress["last_return"]
            run.updated = float(progress["updated"])

    def _is_current(self, run: RunProgress, result: dict[str, Any]) -> bool:
        """Whether a result is what the study asks for; the workflow replaces one that is not."""
        spec, code = self._spec(run.environment, run.selector)
        return (
            result.get("status") == "complete"
            and result.get("spec") == {**spec.as_dict(), "seed": run.seed}
            and result.get("code") == code
        )

    def _snapshot(self) -> Snapshot:
        running = [run for run in self._runs if run.state == "running"]
        steps_total = sum(run.total_steps for run in self._runs)
        steps_done = sum(run.steps for run in self._runs if run.state != "waiting")
        return Snapshot(
            running,
            sum(run.state == "done" for run in self._runs),
            len(self._runs),
            steps_done,
            steps_total,
            self._seconds_left(max(1, len(running))),
        )

    def _seconds_left(self, at_once: int) -> float | None:
        """Remaining steps at the observed cost of their environment and selector, `at_once` a time.

        A cell that was not seen yet is taken to cost the mean of those that were.
        """
        observed = defaultdict(list)
        for run in self._runs:
            if run.rate > 0 and run.state != "waiting":
                observed[run.environment, run.selector].append(1 / run.rate)
        if not observed:
            return None
        cost = {cell: fmean(seconds) for cell, seconds in observed.items()}
        usual = fmean(cost.values())
        left = 0.0
        for run in self._runs:
            if run.state != "done":
                steps = run.total_steps - (run.steps if run.state == "running" else 0)
                left += steps * cost.get((run.environment, run.selector), usual)
        return left / at_once


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: `40 s`, `7 min`, `3 h 05 min`; `unknown` for None."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def summary(snapshot: Snapshot) -> str:
    """One line about the whole study."""
    share = snapshot.steps_done / snapshot.steps_total if snapshot.steps_total else 1.0
    line = (
        f"{snapshot.runs_done}/{snapshot.runs_total} runs, "
        f"{snapshot.steps_done:,}/{snapshot.steps_total:,} steps ({share:.0%})"
    )
    if snapshot.runs_done == snapshot.runs_total:
        return line
    return f"{line}, {len(snapshot.running)} going, time left {duration(snapshot.seconds_left)}"


def _cells(run: RunProgress) -> tuple[str, ...]:
    return (
        run.environment,
        run.selector,
        str(run.seed),
        f"{run.steps:,}/{run.total_steps:,}",
        f"{run.rate:,.0f}/s",
        f"{run.labels}/{run.labels_total}" if run.labels_total else "-",
        "-" if run.last_return is None else f"{run.last_return:,.1f}",
    )


def lines(snapshot: Snapshot, jobs: str = "") -> list[str]:
    """The study as plain lines, for logs; `jobs` ends the first."""
    shown = [
        "  {} {} seed {}: {} steps, {}, labels {}, last return {}".format(*_cells(run))
        for run in snapshot.running[:LISTED_RUNS]
    ]
    hidden = len(snapshot.running) - len(shown)
    return [summary(snapshot) + jobs, *shown, *([f"  and {hidden} more"] if hidden else [])]


def panel(snapshot: Snapshot, jobs: str = "") -> Group:
    """The study as something to look at in a terminal; `jobs` ends its last line."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=bool(snapshot.running))
    for name in ("environment", "selector", "seed", "steps", "speed", "labels", "last return"):
        table.add_column(name, justify="left" if name in ("environment", "selector") else "right")
    table.add_column("")
    for run in snapshot.running[:LISTED_RUNS]:
        bar = ProgressBar(total=run.total_steps, completed=run.steps, width=20)
        table.add_row(*_cells(run), bar)
    hidden = len(snapshot.running) - LISTED_RUNS
    if hidden > 0:
        table.add_row(f"and {hidden} more")
    whole = ProgressBar(total=max(snapshot.steps_total, 1), completed=snapshot.steps_done, width=60)
    return Group(table, whole, "", summary(snapshot) + jobs)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `active-rlhf watch`."""
    parser.add_argument("config", type=Path, help="the study's config file")
    parser.add_argument(
        "command", nargs="*", help="after --: a command to start and to watch until it ends"
    )


def run(args: argparse.Namespace) -> int:
    """Watch until every run is done, or until the given command ends; then return its exit code."""
    study = load_study(args.config, cells=())
    results = Path("results") / study.study
    watcher = Watcher(study, results)
    console = Console()
    if not args.command:
        try:
            _watch(watcher, console, None, None)
        except KeyboardInterrupt:
            return 130
        return 0

    log = results / "logs" / "snakemake.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        # A session of its own: Ctrl-C then reaches the command once, from us, not twice.
        process = subprocess.Popen(
            args.command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    with _forwarded(process):
        _watch(watcher, console, process, log)
    if process.returncode:
        sys.stderr.write(_failure(log))
        sys.stderr.write(f"error: the command failed; its whole output is in {log}\n")
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


@contextmanager
def _forwarded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Pass SIGINT and SIGTERM on to the command and to all it started, as a terminal does."""

    def forward(number: int, _: object) -> None:
        if process.poll() is None:
            os.killpg(process.pid, number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(
    watcher: Watcher,
    console: Console,
    process: subprocess.Popen[bytes] | None,
    log: Path | None,
) -> None:
    """Show the study until `process` ends or, without one, until every run is done."""

    def finished(snapshot: Snapshot, seconds: float) -> bool:
        if process is None:
            if snapshot.runs_done == snapshot.runs_total:
                return True
            time.sleep(seconds)
            return False
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    if console.is_terminal:
        with Live(console=console, refresh_per_second=2) as live:
            while True:
                snapshot = watcher.look()
                live.update(panel(snapshot, _jobs(log)))
                if finished(snapshot, LIVE_EVERY):
                    break
            live.update(panel(watcher.look(), _jobs(log)))
        return

    started = time.monotonic()

    def say(text: list[str]) -> None:
        print(f"[{duration(time.monotonic() - started)}] " + "\n".join(text), flush=True)

    said: list[str] = []
    while True:
        snapshot = watcher.look()
        if (now := lines(snapshot, _jobs(log))) != said:
            say(said := now)
        if finished(snapshot, LOG_EVERY):
            break
    say([summary(watcher.look()) + _jobs(log)])


def _jobs(log: Path | None) -> str:
    """How many of its jobs the command says it has done, trained runs and all that follows."""
    if log is None:
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 65_536))
        said = re.findall(rb"^(\d+) of (\d+) steps", file.read(), re.MULTILINE)
    return f", {int(said[-1][0])}/{int(said[-1][1])} jobs" if said else ""


def _failure(log: Path) -> str:
    """The log from its first error on, or else its end."""
    said = log.read_text(errors="replace").splitlines(keepends=True)
    first = next((i for i, line in enumerate(said) if "Error" in line), len(said) - LOG_LINES)
    return "".join(said[max(0, first) :][:LOG_LINES])
