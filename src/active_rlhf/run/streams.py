"""The random streams of a run, one for each purpose.

Runs with the same seed share environment, initial policy and teacher noise, whatever their
selectors draw.
"""

from typing import Any

import numpy as np

PURPOSES = (
    "environment",
    "initial_policy",
    "exploration",
    "minibatches",
    "teacher",
    "candidates",
    "selector",
    "split",
    "reward_model",
    "vae",
    "unused",  # its place keeps the following streams as they are
    "evaluation",
    "calibration",
)

Streams = dict[str, np.random.Generator]


def streams(seed: int) -> Streams:
    """Independent generators by purpose, spawned from the run's seed."""
    sequences = np.random.SeedSequence(seed).spawn(len(PURPOSES))
    return dict(zip(PURPOSES, map(np.random.default_rng, sequences), strict=True))


def states(generators: Streams) -> dict[str, Any]:
    """Where each stream is, for a checkpoint."""
    return {name: generator.bit_generator.state for name, generator in generators.items()}


def restore(generators: Streams, saved: dict[str, Any]) -> None:
    """Bring the streams back to the given `states`."""
    for name, generator in generators.items():
        generator.bit_generator.state = saved[name]
