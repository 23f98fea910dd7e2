"""What computed a run: libraries, kernels, processor."""

import os
import platform
import socket
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from active_rlhf.compute.compilation import compiles
from active_rlhf.compute.products import processor

LIBRARIES = ("gymnasium", "mujoco", "numba", "numpy", "scipy", "torch")


def arithmetic() -> dict[str, str]:
    """What else determines a run's bytes, besides its spec, its code and the processor."""
    kernels = "compiled" if compiles() else "eager"
    return {"kernels": kernels} | library_versions()


def library_versions() -> dict[str, str]:
    """The versions of the libraries that compute a run."""
    return {name: version(name) for name in LIBRARIES}


def other_versions(recorded: Any) -> list[str]:
    """Which libraries computed a run, by the `versions` of its run.json, that are others here."""
    recorded = recorded if isinstance(recorded, Mapping) else {}
    return [
        f"{name} {recorded.get(name, 'unknown')} (now {now})"
        for name, now in library_versions().items()
        if recorded.get(name) != now
    ]


def description() -> dict[str, Any]:
    """The machine and its software versions, as `run.json` records them."""
    own = {"python": platform.python_version(), "active-rlhf": version("active-rlhf")}
    return {
        "versions": own | arithmetic(),
        "host": socket.gethostname(),
        "cpu": processor(),
        "cores": os.cpu_count(),
    }
