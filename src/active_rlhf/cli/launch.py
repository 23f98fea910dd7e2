"""Starting a command with its output in a log, and reading its progress from the log."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from active_rlhf.study.ending import own_words

LOG_LINES = 30  # of a failed command's log
LOG_END = 65_536  # bytes in which to look for the last word on its jobs


@contextmanager
def launched(
    command: Sequence[str], log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """The running command, whose output goes to `log`, and the signals that came meanwhile.

    SIGINT and SIGTERM are passed on to it and to all it started, as a terminal does.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        # A session of its own: Ctrl-C then reaches the command once, from us, not twice.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )

    received: list[int] = []

    def forward(number: int, _: object) -> None:
        received.append(number)
        if process.poll() is None:
            os.killpg(process.pid, number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield process, received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def has_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the command has ended, after waiting for that at most so long."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def exit_code(process: subprocess.Popen[bytes]) -> int:
    """That of a command that has ended, as a shell gives it: 128 and more for a signal."""
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def jobs(log: Path) -> str:
    """How many of its jobs Snakemake says it has done, trained runs and all that follows."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_END))
        said = re.findall(rb"^(\d+) of (\d+) steps", file.read(), re.MULTILINE)
    return f", {int(said[-1][0])}/{int(said[-1][1])} jobs" if said else ""


def failure(log: Path) -> str:
    """Why the command failed: what the workflow says at its end, or else its first error."""
    output = log.read_text(errors="replace")
    said = output.splitlines(keepends=True)
    first = next((i for i, line in enumerate(said) if "Error" in line), len(said) - LOG_LINES)
    excerpt = "".join(said[max(0, first) :][:LOG_LINES])
    where = f"the whole output of the command that failed is in {log}"
    return f"{where}\n{own}" if (own := own_words(output)) else f"{excerpt}error: {where}\n"
