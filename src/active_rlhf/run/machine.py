"""What computed a run: libraries, kernels, processor."""

import os
import platform
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

from active_rlhf.compute.compilation import compiles

LIBRARIES = ("gymnasium", "mujoco", "numba", "numpy", "scipy", "torch")


def arithmetic() -> dict[str, str]:
    """What else determines a run's bytes, besides its spec, its code and the processor."""
    kernels = "compiled" if compiles() else "eager"
    return {"kernels": kernels} | {name: version(name) for name in LIBRARIES}


def description() -> dict[str, Any]:
    """The machine and its software versions, as `run.json` records them."""
    own = {"python": platform.python_version(), "active-rlhf": version("active-rlhf")}
    return {
        "versions": own | arithmetic(),
        "host": socket.gethostname(),
        "cpu": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor()
