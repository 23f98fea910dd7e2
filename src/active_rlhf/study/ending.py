"""The last lines of a study that stopped early: why, and what to do."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

ERROR, STOPPED = "error: ", "stopped by the user: "
STOPPED_RUN = ": stopped at step "  # what a run says that was told to stop
UNFINISHED = "not finished"  # why a partial study leaves a run out
SHOWN = 5  # different reasons
LOG_END = 65_536  # bytes in which to look for a reason


def reason(log: str | Path) -> str:
    """Why a job failed, in one line: the last error in its log, or else the log's last line."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, Path(log).stat().st_size - LOG_END))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        lines = []
    said = [line for line in lines if line]
    clear = [line.removeprefix(ERROR) for line in said if line.startswith(ERROR)]
    if clear:
        return clear[-1]
    if said and STOPPED_RUN in said[-1]:
        return said[-1]
    if said:
        return f"{said[-1]} (an unexpected error; the whole of it is in {log})"
    if _full(Path(log).parent):
        left = "free some space and run the same command again: nothing finished is lost"
        return f"No space left on device; {left}"
    return f"ended without a word, as when memory runs out or it is killed; its log is {log}"


def _full(folder: Path) -> bool:
    """Whether next to nothing more can be written there, so that a log may be empty for that."""
    try:
        return shutil.disk_usage(folder).free < 2**20
    except OSError:
        return False


def was_begun(output: Iterable[str], log: Iterable[str]) -> bool:
    """Whether a job, by its files, was begun and is not done: so of a group, which one failed."""
    return not all(map(os.path.exists, output)) and any(map(os.path.exists, log))


def failure(jobs: Iterable[tuple[str, str | Path]], done: int, total: int) -> str:
    """The reasons why jobs failed, last and alone, below a line that says what to do.

    jobs: name and log of each; done, total: the study's runs.
    """
    names: dict[str, list[str]] = {}
    for name, log in jobs:
        names.setdefault(reason(log), []).append(name)
    if not names:
        return f"{ERROR}Snakemake ended for the reason above; fix it and run the same command again"
    count = sum(map(len, names.values()))
    shown = [
        f"{ERROR}{text}" + (f" (in {len(of)} jobs)" if len(of) > 1 else "")
        for text, of in list(names.items())[:SHOWN]
    ]
    which = f"{count} jobs" if count > 1 else f"The job {next(iter(names.values()))[0]}"
    more = f"; {len(names) - SHOWN} further reasons are in the logs" * (len(names) > SHOWN)
    todo = "Fix this, then run the same command again:"
    first = f"{which} failed{more}. {_progress(done, total)}{todo}"
    return "\n".join([first, *shown])


def stopped(done: int, total: int) -> str:
    """The last line of a study that somebody stopped."""
    return f"{STOPPED}{_progress(done, total)}The same command goes on from there."


def own_words(output: str) -> str:
    """The text of `failure` or `stopped` at the end of a command's output; empty without one."""
    last = output.rstrip("\n").rpartition("\n\n")[2]
    known = any(line.startswith((ERROR, STOPPED)) for line in last.splitlines()[-SHOWN:])
    return f"{last}\n" if known else ""


def _progress(done: int, total: int) -> str:
    return f"{done} of {total} runs are done. " if total else ""
