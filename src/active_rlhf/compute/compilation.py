"""How kernels are compiled, and where their machine code is kept.

A function marked `@compiled` is an ordinary function until it is called. The first call to any of
them loads the compiler, finds the cache folder and, once per machine, fills it in a separate
process; `prepare` does this ahead of time.

numba recompiles a cached function when its own file changes, but not when a function it calls does,
and finds it by the file's path. So the name of the cache folder is a hash of the location and
sources of all kernels, the processor and numba's version: any edit compiles everything again, and
machines with a shared home directory never share machine code.
"""

import fcntl
import functools
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parents[1]
_COMPILING = "ACTIVE_RLHF_COMPILING"  # set in the process that fills the cache


class Kernel:
    """A function that runs as machine code if `compiles()`, and as ordinary Python otherwise.

    Kernels may call each other. Arithmetic is as written, but without the checks for division by
    zero, which keep loops from being vectorised.
    """

    def __init__(self, function: Callable[..., Any]):
        functools.update_wrapper(self, function)
        self.function = function

    @functools.cached_property
    def dispatcher(self) -> Any:
        """The compiled function, or the function itself."""
        if not compiles():
            return self.function
        import numba

        # Never with `fastmath`: its results depend on where a function is inlined and on what was
        # loaded before, so runs would depend on more than their spec.
        return numba.njit(cache=True, error_model="numpy")(self.function)

    def __call__(self, *arguments: Any) -> Any:
        return self.dispatcher(*arguments)

    @property
    def _numba_type_(self) -> Any:
        """The type numba asks for when another kernel calls this one."""
        return self.dispatcher._numba_type_


compiled = Kernel

_BODIES: list[tuple[Callable[..., Any], Callable[..., Any]]] = []


def body_of(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate what gives `function`'s body in kernels, for the numba types of its arguments."""

    def note(choose: Callable[..., Any]) -> Callable[..., Any]:
        _BODIES.append((function, choose))
        if compiles.cache_info().currsize and compiles():
            _register_bodies()
        return choose

    return note


def _register_bodies() -> None:
    from numba.extending import overload

    while _BODIES:
        function, choose = _BODIES.pop()
        overload(function)(choose)


@functools.cache
def compiles() -> bool:
    """Whether kernels run as machine code; the first call compiles them.

    If not, rollout, policy update and reward training run as the reference implementations that the
    tests compare them with. NUMBA_DISABLE_JIT=1 requests this; if compiling fails, a warning says
    why.
    """
    import numba

    # The BLAS behind numba's np.dot, loaded now so that later limits on threads apply to it.
    import scipy.linalg.cython_blas  # noqa: F401

    config: Any = numba.config
    if config.DISABLE_JIT:
        return False
    try:
        folder = cache_folder()
        config.CACHE_DIR = str(folder)
        _compile_once(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip().splitlines()
        print(
            f"warning: kernels do not compile ({said[-1] if said else error}); the eager reference "
            "takes their place, a hundred times slower and with other roundings",
            file=sys.stderr,
        )
        return False
    _register_bodies()
    return True


def prepare() -> None:
    """Load the compiler and fill its cache now; call this before threads are limited."""
    compiles()


def sources() -> list[Path]:
    """The package's files that determine the kernels: theirs, and this one."""
    files = (file for file in sorted(_HERE.rglob("*.py")) if b"\n@compiled\n" in file.read_bytes())
    return [_HERE / "compute/compilation.py", *files]


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/active-rlhf/<key>`, else the same below the temporary folder.

    Only a folder that nobody else could have written to, since numba runs what it finds there.
    """
    import llvmlite.binding as llvm
    import numba

    key = hashlib.sha256(str(_HERE).encode())
    for source in sources():
        key.update(source.read_bytes())
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
    """Make a folder that only this user can write to, or accept an existing one."""
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return False
        folder.chmod(0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _compile_once(folder: Path) -> None:
    """Fill the cache with `python -m active_rlhf.compute.warm_up`, unless it is filled already.

    Concurrent callers wait for the first; if it fails, the next one tries.
    """
    done = folder / "ready"
    if _COMPILING in os.environ or done.exists():
        return
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            command = [sys.executable, "-m", "active_rlhf.compute.warm_up"]
            subprocess.run(
                command, env=os.environ | {_COMPILING: "1"}, check=True, stderr=subprocess.PIPE
            )
            done.touch()
