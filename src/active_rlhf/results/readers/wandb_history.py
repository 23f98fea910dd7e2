"""The history of a run of Weights & Biases, as `run.history()` gives it: `_step, _timestamp, ...`.

A line holds what was logged at once, so lines without a return are no rows. `_step` counts calls of
`log`; environment steps are `global_step`, if the run logged them.
"""

from collections.abc import Iterator

import pandas as pd

from active_rlhf.results.readers.files import renamed, tables
from active_rlhf.results.readers.long import KNOWN as NAMES
from active_rlhf.results.readers.reader import Choices, Head, Reader, chosen, needed

KNOWN = NAMES | {"step": ("global_step", "time/total_timesteps", "train/global_step", "_step")}


def _described(head: Head, choices: Choices) -> tuple[str, dict[str, str]]:
    found = chosen(head.path, head.columns, choices.columns, KNOWN)
    needed(head.path, found, head.columns, "step", "return")
    mean = "mean" in found["return"]
    return "means" if mean else "episodes", found


def _read(head: Head, choices: Choices) -> Iterator[pd.DataFrame]:
    _, found = _described(head, choices)
    for frame in tables(head, list(dict.fromkeys(found.values()))):
        yield renamed(frame, found).dropna(subset="return")


READER = Reader(
    "wandb_history",
    "the history of a run of Weights & Biases",
    lambda head: (
        {"_step", "_timestamp"} <= set(head.columns) or {"_step", "_runtime"} <= set(head.columns)
    ),
    _described,
    _read,
)
