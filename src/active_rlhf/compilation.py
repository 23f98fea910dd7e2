"""How kernels are compiled, and where their machine code is kept.

numba renews a cached function when its own file changes, but not when a function that it calls
does. The cache folder is therefore named by the sources of all kernels, the processor and numba's
version: an edit anywhere compiles afresh, machines that share a home never share machine code.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba

_HERE = Path(__file__).parent
_SOURCES = ("kernels.py", "reward_model.py")


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/active-rlhf/<key>`, else the same below the temporary folder."""
    key = hashlib.sha256()
    for source in _SOURCES:
        key.update((_HERE / source).read_bytes())
    key.update(f"{numba.__version__} {llvm.get_host_cpu_name()}".encode())
    key.update(llvm.get_host_cpu_features().flatten().encode())
    name = Path("active-rlhf") / key.hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for base in (home, Path(tempfile.gettempdir())):
        try:
            (base / name).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(base / name, os.W_OK):
            return base / name
    raise OSError(
        f"no place for compiled code: neither {home} nor the temporary folder is writable"
    )


FOLDER = cache_folder()
numba.config.CACHE_DIR = str(FOLDER)  # type: ignore[attr-defined]

exact = numba.njit(cache=True)
"""Compile with the arithmetic as written."""

fast = numba.njit(cache=True, fastmath=True, error_model="numpy")
"""Compile with sums free to be reordered, and without the checks for division by zero that keep
loops from being vectorised."""


@contextmanager
def once(what: str) -> Iterator[bool]:
    """Yield True to the first process on this machine that gets here for `what`, False ever after.

    Others wait while the first is at work, so that parallel runs compile once. If the first fails,
    the next one is first.
    """
    done = FOLDER / f"{what}.ready"
    if done.exists():
        yield False
        return
    with (FOLDER / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        first = not done.exists()
        yield first
        done.touch()


def warm_up(what: str, exercise: Callable[[], Any]) -> None:
    """Run `exercise` unless some process on this machine already has."""
    with once(what) as first:
        if first:
            exercise()
