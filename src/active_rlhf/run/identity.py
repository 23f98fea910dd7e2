"""Which source files decide a run's result, and one hash over them.

A run is retrained when one of its files changes, comments included, and left alone when any other
file does. A new module goes into one of these tables; a test walks the imports of training and
names a module that is in none.
"""

import hashlib
from pathlib import Path

from active_rlhf.study.settings import Spec

PACKAGE = Path(__file__).parents[1]

# Of every run.
AGENT = (
    "agents/__init__.py",
    "agents/kernels.py",
    "agents/heads.py",
    "agents/networks.py",
    "agents/normalise.py",
    "agents/ppo/__init__.py",
    "agents/ppo/agent.py",
    "agents/ppo/kernels.py",
    "agents/ppo/policy.py",
    "agents/ppo/rollout.py",
    "agents/ppo/settings.py",
    "agents/ppo/update.py",
    "agents/reward_scaling.py",
    "behaviour/__init__.py",
    "behaviour/rows.py",
    "behaviour/store.py",
    "compute/__init__.py",
    "compute/adam.py",
    "compute/compilation.py",
    "compute/layers.py",
    "compute/precision.py",
    "run/__init__.py",
    "run/finite.py",
    "run/directory.py",
    "run/loop.py",
    "run/schedule.py",
    "run/state.py",
    "run/streams.py",
    "run/training.py",
    "tasks/__init__.py",
    "tasks/gym.py",
    "tasks/mujoco/__init__.py",
    "tasks/mujoco/kernels.py",
    "tasks/mujoco/robots.py",
    "tasks/rollout.py",
)
# Of every run that learns from preferences.
PREFERENCES = (
    "behaviour/ledger.py",
    "rewards/__init__.py",
    "rewards/ensemble.py",
    "rewards/kernels.py",
    "rewards/measures.py",
    "rewards/mlp.py",
    "rewards/settings.py",
    "rewards/torch_mlp.py",
    "run/session.py",
    "selection/__init__.py",
    "selection/candidates.py",
    "selection/clusters.py",
    "selection/composition.py",
    "selection/filters.py",
    "selection/pickers/__init__.py",
    "selection/pool.py",
    "selection/scores/__init__.py",
    "teachers/__init__.py",
)
# Of runs whose selector uses latents.
VAE = ("selection/vae.py",)
# Of runs that name a file in one of these folders.
PARTS = ("selection/scores", "selection/pickers", "teachers")
# Used by training, but unable to change what a run with a given spec computes.
NEUTRAL = (
    "__init__.py",
    "errors.py",
    "parts/__init__.py",
    "parts/blame.py",
    "parts/outside.py",
    "parts/registry.py",
    "parts/settings.py",
    "parts/working.py",
    "files.py",
    "run/checkpoint.py",
    "run/clock.py",
    "run/identity.py",
    "run/reporting.py",
    "run/saved.py",
    "run/tracking.py",
    "study/__init__.py",
    "study/messages.py",
    "study/parts.py",
    "study/sections.py",
    "study/settings.py",
)


def run_files(spec: Spec) -> list[str]:
    """The files of a run, relative to the package, sorted."""
    files = [*AGENT]
    if spec.selection is not None and spec.teacher is not None:
        files += PREFERENCES
        named = (spec.selection.score.name, spec.selection.picker.name, spec.teacher.name)
        files += [
            f"{folder}/{name}.py"
            for folder, name in zip(PARTS, named, strict=True)
            if name != "none"
        ]
        files += VAE if spec.vae is not None else ()
    return sorted(set(files))


def code_fingerprint(spec: Spec, package: Path = PACKAGE) -> str:
    """SHA-256 over the names and contents of a run's files.

    Raises FileNotFoundError if one is missing, as after a rename that these tables do not know.
    """
    digest = hashlib.sha256()
    for name in run_files(spec):
        content = (package / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
