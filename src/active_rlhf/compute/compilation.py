"""How kernels are compiled, and where their machine code is kept.

numba renews a cached function when its own file changes, but not when a function that it calls
does, and looks for it by the file's path. The cache folder is therefore named by the place and the
sources of all kernels, the processor and numba's version: an edit anywhere compiles afresh,
machines that share a home never share machine code.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import llvmlite.binding as llvm
import numba

_HERE = Path(__file__).parents[1]
_SOURCES = (
    "agents/kernels.py",
    "agents/ppo/kernels.py",
    "behaviour/rows.py",
    "compute/adam.py",
    "compute/layers.py",
    "compute/precision.py",
    "tasks/mujoco/kernels.py",
)


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/active-rlhf/<key>`, else the same below the temporary folder.

    Only one that nobody else could have written to, since numba runs what it finds there.
    """
    key = hashlib.sha256(str(_HERE).encode())
    for source in _SOURCES:
        key.update((_HERE / source).read_bytes())
    key.update(f"{numba.__version__} {llvm.get_host_cpu_name()}".encode())
    key.update(llvm.get_host_cpu_features().flatten().encode())
    name = key.hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for base in (home, Path(tempfile.gettempdir())):
        if _own(base / "active-rlhf") and _own(base / "active-rlhf" / name):
            return base / "active-rlhf" / name
    raise OSError(
        f"no place for compiled code: neither {home} nor the temporary folder is writable"
    )


def _own(folder: Path) -> bool:
    """Make a folder, or take one that is there, into which this user alone can write."""
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return False
        folder.chmod(0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


_COMPILING = "ACTIVE_RLHF_COMPILING"  # set in the process that fills the cache


def _compile_once() -> None:
    """Fill the cache by `python -m active_rlhf.compute.warm_up`, unless this machine has done so.

    Parallel callers wait for the first; if it fails, the next one tries.
    """
    done = FOLDER / "ready"
    if _COMPILING in os.environ or done.exists():
        return
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            command = [sys.executable, "-m", "active_rlhf.compute.warm_up"]
            subprocess.run(
                command, env=os.environ | {_COMPILING: "1"}, check=True, stderr=subprocess.PIPE
            )
            done.touch()


try:
    FOLDER = cache_folder()
    numba.config.CACHE_DIR = str(FOLDER)  # type: ignore[attr-defined]
    if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        _compile_once()
except (OSError, subprocess.CalledProcessError) as error:
    reason = getattr(error, "stderr", b"").decode(errors="replace").strip().splitlines()
    print(
        f"warning: kernels do not compile ({reason[-1] if reason else error}); the eager reference "
        "takes their place, a hundred times slower and with other roundings",
        file=sys.stderr,
    )
    numba.config.DISABLE_JIT = 1  # type: ignore[attr-defined]

COMPILED = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]
"""Whether kernels run as machine code; else rollout, policy update and reward training run as the
references that the tests compare them with. numba's NUMBA_DISABLE_JIT=1 asks for that."""

compiled = numba.njit(cache=True, error_model="numpy")
"""Compile with arithmetic as written, and without the checks for division by zero that keep loops
from being vectorised.

Never with `fastmath`: what it makes of a function depends on where the function is inlined and on
what was loaded before, so that runs would depend on more than their spec.
"""
