"""Snakemake as a process of its own that need not load it: a fork of one that has.

A plan of the tiny study takes a second and a half, of which Python and its imports are one.
"""

import atexit
import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["snakemake.cli", "smart_open"]
    + [f"active_rlhf.results.{name}" for name in ("imports", "sources")]
    + [f"active_rlhf.study.{name}" for name in ("partial", "precision", "progress", "tuning")]
)


def snakemake(
    arguments: list[str], folder: Path, environment: Mapping[str, str]
) -> CompletedProcess[str]:
    """What `python -m snakemake` with these arguments does in a folder."""
    with TemporaryDirectory() as place:
        said = Path(place, "stdout"), Path(place, "stderr")
        process = _context.Process(target=_run, args=(arguments, folder, dict(environment), said))
        process.start()
        process.join()
        return CompletedProcess(arguments, process.exitcode, *(path.read_text() for path in said))


def _run(
    arguments: list[str], folder: Path, environment: dict[str, str], said: tuple[Path, Path]
) -> None:
    for descriptor, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["snakemake", *arguments]
    try:
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        atexit._run_exitfuncs()  # which no process of multiprocessing does
        sys.exit(1 if isinstance(end.code, str) else end.code)
