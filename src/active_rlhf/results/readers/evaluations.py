"""Stable-Baselines3's `evaluations.npz`, of EvalCallback: `timesteps` [n], `results` [n, episodes].

A row is an evaluation: the mean over its episodes.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from active_rlhf.results.comparable import ExportError
from active_rlhf.results.readers.files import reading
from active_rlhf.results.readers.reader import Choices, Head, Reader


def _read(head: Head, choices: Choices) -> Iterator[pd.DataFrame]:
    with reading(head.path, "evaluations.npz"), np.load(head.path, allow_pickle=False) as held:
        steps, results = np.asarray(held["timesteps"]), np.asarray(held["results"], float)
    if steps.ndim != 1 or results.ndim != 2 or len(steps) != len(results) or not results.size:
        raise ExportError(
            f"{head.path}: timesteps {steps.shape} and results {results.shape} are not [n] and "
            "[n, episodes]"
        )
    place = pd.RangeIndex(1, len(steps) + 1)
    yield pd.DataFrame({"step": steps, "return": results.mean(axis=1)}, place)


READER = Reader(
    "evaluations",
    "Stable-Baselines3's `evaluations.npz`",
    lambda head: {"timesteps", "results"} <= set(head.members),
    lambda head, choices: ("evaluations", {}),
    _read,
    lines=False,
)
