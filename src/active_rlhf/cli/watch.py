"""Show the progress of a study's runs until all are done.

A command after `--` is started, with its output in results/<study>/logs/snakemake.log; the exit
code is then the command's, or 130 after Ctrl-C. With --web, the study is also a page in a browser,
with the curves so far, which stays after the study has ended until Ctrl-C.

Example:
  active-rlhf watch config/demo.yaml -- snakemake --profile profiles/local
"""

import signal
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from active_rlhf.cli.launch import exit_code, failure, has_ended, jobs, launched
from active_rlhf.cli.serving import serving
from active_rlhf.files import results_folder
from active_rlhf.study.ending import stopped
from active_rlhf.study.loading import load_study
from active_rlhf.study.progress import RunProgress, Snapshot, Watcher
from active_rlhf.study.settings import Study

LIVE_EVERY, LOG_EVERY = 1.0, 10.0  # seconds between updates, in a terminal and in a log
PORT = 8421
LISTED_RUNS = 12  # running runs shown in full


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="the study's config file")
    parser.add_argument("--web", action="store_true", help="serve a page of it, on this machine")
    parser.add_argument("--port", type=int, default=PORT, help=f"of the page (default: {PORT})")
    parser.add_argument(
        "command", nargs="*", help="after --: a command to start and to watch until it ends"
    )


def run(args: Namespace) -> int:
    study = load_study(args.config, cells=())
    results = results_folder(study.study)
    if not args.web:
        return _watched(study, results, args.command)
    from active_rlhf.site.live import application

    with serving(application(study, results), "127.0.0.1", args.port) as port:
        print(f"The study is at http://127.0.0.1:{port}/", flush=True)
        code = _watched(study, results, args.command)
        if code:
            return code
        print("It is finished; the page stays until Ctrl-C", flush=True)
        threading.Event().wait()
    return 0


def _watched(study: Study, results: Path, command: Sequence[str]) -> int:
    """Watch the study until it or the command ends; the exit code."""
    watcher, console = Watcher(study, results), Console()
    if not command:
        _watch(watcher, console, _all_done, lambda: "")
        return 0
    log = results / "logs" / "snakemake.log"
    with launched(command, log) as (process, received):
        _watch(watcher, console, lambda _, seconds: has_ended(process, seconds), lambda: jobs(log))
    if not process.returncode:
        return 0
    if received:
        last = watcher.look()
        print(stopped(last.runs_done, last.runs_total), file=sys.stderr)
        return 130 if signal.SIGINT in received else exit_code(process)
    sys.stderr.write(failure(log))
    return exit_code(process)


def _all_done(snapshot: Snapshot, seconds: float) -> bool:
    if snapshot.runs_done == snapshot.runs_total and not snapshot.follows:
        return True
    time.sleep(seconds)
    return False


def _watch(
    watcher: Watcher,
    console: Console,
    finished: Callable[[Snapshot, float], bool],
    said: Callable[[], str],
) -> None:
    """Show the study until `finished`, which is given so many seconds to wait, says it is over.

    `said` ends the line about the whole study.
    """
    if console.is_terminal:
        with Live(console=console, refresh_per_second=2) as live:
            while True:
                snapshot = watcher.look()
                live.update(panel(snapshot, said()))
                if finished(snapshot, LIVE_EVERY):
                    break
            live.update(panel(watcher.look(), said()))
        return

    started = time.monotonic()

    def say(text: list[str]) -> None:
        print(f"[{duration(time.monotonic() - started)}] " + "\n".join(text), flush=True)

    last: list[str] = []
    while True:
        snapshot = watcher.look()
        if (now := lines(snapshot, said())) != last:
            say(last := now)
        if finished(snapshot, LOG_EVERY):
            break
    say([summary(watcher.look()) + said()])


def duration(seconds: float | None) -> str:
    """Seconds in words: `40 s`, `7 min`, `3 h 05 min`; `unknown` for None."""
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
    if snapshot.runs_done < snapshot.runs_total:
        left = duration(snapshot.seconds_left)
        line += f", {len(snapshot.running)} going, time left {left}"
    return f"{line}, {snapshot.best}" if snapshot.best else line


def _cells(run: RunProgress) -> tuple[str, ...]:
    return (
        run.environment,
        f"{run.selector} {run.trial}" if run.trial else run.selector,
        str(run.seed),
        f"{run.steps:,}/{run.total_steps:,}",
        f"{run.rate:,.0f}/s",
        f"{run.labels}/{run.labels_total}" if run.labels_total else "-",
        "-" if run.last_return is None else f"{run.last_return:,.1f}",
    )


def _waiting(run: RunProgress) -> str:
    return f"waiting for {run.waits_for}"


def lines(snapshot: Snapshot, jobs: str = "") -> list[str]:
    """The study as plain lines, for logs; `jobs` ends the first."""
    shown = [
        "  {} {} seed {}: {} steps, {}, labels {}, last return {}".format(*_cells(run))
        + (f", {_waiting(run)}" if run.waits_for else "")
        for run in snapshot.running[:LISTED_RUNS]
    ]
    hidden = len(snapshot.running) - len(shown)
    return [summary(snapshot) + jobs, *shown, *([f"  and {hidden} more"] if hidden else [])]


def panel(snapshot: Snapshot, jobs: str = "") -> Group:
    """The study as a table for terminals; `jobs` ends its last line."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=bool(snapshot.running))
    for name in ("environment", "selector", "seed", "steps", "speed", "labels", "last return"):
        table.add_column(name, justify="left" if name in ("environment", "selector") else "right")
    table.add_column("")
    for run in snapshot.running[:LISTED_RUNS]:
        bar = ProgressBar(total=run.total_steps, completed=run.steps, width=20)
        table.add_row(*_cells(run), _waiting(run) if run.waits_for else bar)
    hidden = len(snapshot.running) - LISTED_RUNS
    if hidden > 0:
        table.add_row(f"and {hidden} more")
    whole = ProgressBar(total=max(snapshot.steps_total, 1), completed=snapshot.steps_done, width=60)
    return Group(table, whole, "", summary(snapshot) + jobs)
