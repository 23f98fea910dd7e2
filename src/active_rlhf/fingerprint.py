"""Which source files decide a run's result, and one hash over them.

A run is retrained when one of its files changes, comments included, and left alone when any other
file does. A new module goes into one of these tables; a test walks the imports of training and
names a module that is in none.
"""

import hashlib
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent

# Of every run.
AGENT = (
    "compilation.py",
    "environments.py",
    "finite.py",
    "kernels.py",
    "layers.py",
    "policy.py",
    "ppo.py",
    "precision.py",
    "reward_scaling.py",
    "rollout.py",
    "schedule.py",
    "segments.py",
    "sparse_rows.py",
    "training.py",
)
# Of every run that learns from preferences.
PREFERENCES = (
    "ledger.py",
    "preference_learning.py",
    "reward_model.py",
    "selection/__init__.py",
    "selection/candidates.py",
    "selection/clusters.py",
    "selection/filters.py",
    "selection/pickers/__init__.py",
    "selection/pool.py",
    "selection/scores/__init__.py",
    "selection/selectors.py",
    "teachers/__init__.py",
)
# Of runs whose selector uses latents.
VAE = ("selection/vae.py",)
# Of runs that name a file in one of these folders.
PARTS = ("selection/scores", "selection/pickers", "teachers")
# Used by training, but unable to change what a run with a given spec computes.
NEUTRAL = (
    "__init__.py",
    "checkpoint.py",
    "clock.py",
    "errors.py",
    "files.py",
    "fingerprint.py",
    "parts.py",
    "plain_yaml.py",
    "reporting.py",
    "tracking.py",
)


def run_files(spec: dict[str, Any]) -> list[str]:
    """The files of a run, relative to the package, sorted."""
    files = [*AGENT]
    if "selection" in spec:
        files += PREFERENCES
        selection = spec["selection"]
        named = (selection["score"], selection["picker"]["name"], spec["teacher"]["name"])
        files += [
            f"{folder}/{name}.py"
            for folder, name in zip(PARTS, named, strict=True)
            if name != "none"
        ]
        files += VAE if "vae" in spec else ()
    return sorted(set(files))


def code_fingerprint(spec: dict[str, Any], package: Path = PACKAGE) -> str:
    """SHA-256 over the names and contents of a run's files.

    Raises FileNotFoundError if one is missing, as after a rename that these tables do not know.
    """
    digest = hashlib.sha256()
    for name in run_files(spec):
        content = (package / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
