"""The export of the thesis and of this package: `<env>__<method>__<seed>__<stamp>` names a run."""

from collections.abc import Iterator

import pandas as pd

from active_rlhf.results.export import METRIC
from active_rlhf.results.readers.files import renamed, tables
from active_rlhf.results.readers.reader import Choices, Head, Reader, chosen, needed

KNOWN = {
    "run": ("exp_name",),
    "seed": ("seed",),
    "step": ("global_step",),
    "return": (METRIC,),
    "length": ("episode_length",),
    "labels": ("labels",),
}


def _described(head: Head, choices: Choices) -> tuple[str, dict[str, str]]:
    return "episodes", chosen(head.path, head.columns, choices.columns, KNOWN)


def _read(head: Head, choices: Choices) -> Iterator[pd.DataFrame]:
    _, found = _described(head, choices)
    for name in ("run", "seed", "step", "return"):
        needed(head.path, found, head.columns, name)
    for frame in tables(head, list(found.values())):
        yield renamed(frame, found).rename(columns={"seed": "stated"})


READER = Reader(
    "export",
    "the CSV of the thesis and of this package",
    lambda head: "exp_name" in head.columns and "seed" in head.columns,
    _described,
    _read,
)
