"""Scores as rliable takes them: one number for each run and task.

npz or JSON of `{<method>: [runs, tasks]}`, where `task: 0` in the study chooses the task; JSON of
`{<task>: [runs]}`, a file for each method, as published with rliable; or of
`{<method>: {<task>: [runs]}}`. Runs are numbered, as they have no seeds.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.results.comparable import ExportError
from active_rlhf.results.readers.files import opened, reading
from active_rlhf.results.readers.reader import Choices, Head, Reader


def _held(head: Head) -> dict[str, Any]:
    with reading(head.path, "scores"):
        if head.members:
            with np.load(head.path, allow_pickle=False) as held:
                return {str(name): np.asarray(held[name]) for name in held.files}
        with opened(head.path) as file:
            found = json.load(file)
    if not isinstance(found, dict) or not found:
        raise ExportError(f"{head.path}: no dictionary of scores")
    return found


def _read(head: Head, choices: Choices) -> Iterator[pd.DataFrame]:
    held, place = _held(head), 1
    task = choices.env if choices.task is None else choices.task
    if isinstance(task, str) and task in held:  # {task: runs}, the method is said elsewhere
        own: dict[str | None, Any] = {None: held[task]}
        if isinstance(held[task], dict):
            own = dict(held[task])
    else:
        own = {method: _of_task(head, method, scores, task) for method, scores in held.items()}
    for method, given in own.items():
        with reading(head.path, "scores"):
            scores = np.asarray(given, float)
        if scores.ndim != 1 or not scores.size:
            raise ExportError(f"{head.path}: {method or task}: not a list of one score a run")
        places = pd.RangeIndex(place, place + len(scores))
        frame = pd.DataFrame({"return": scores, "run": places.astype(str)}, places)
        yield frame if method is None else frame.assign(method=method)
        place += len(scores)


def _of_task(head: Head, method: str, scores: Any, task: str | int) -> Any:
    """The scores of a method on a task."""
    if isinstance(scores, dict):
        if str(task) in scores:
            return scores[str(task)]
        known = ", ".join(map(str, scores))
        raise ExportError(f"{head.path}: {method}: no task {task} (there is {known}); say `task:`")
    with reading(head.path, "scores"):
        matrix = np.asarray(scores, float)
    if matrix.ndim != 2:
        raise ExportError(f"{head.path}: {method}: {matrix.shape} is not [runs, tasks]")
    if isinstance(task, str):
        if matrix.shape[1] == 1:
            return matrix[:, 0]
        raise ExportError(
            f"{head.path}: which of the {matrix.shape[1]} tasks is {task}? Say `task:`, a number "
            "from 0"
        )
    if not 0 <= task < matrix.shape[1]:
        raise ExportError(f"{head.path}: {method}: task {task} of {matrix.shape[1]}, from 0")
    return matrix[:, task]


READER = Reader(
    "rliable",
    "scores as rliable takes them, npz or JSON",
    lambda head: bool(head.members) or head.start.lstrip()[:1] == b"{",
    lambda head, choices: ("scores", {}),
    _read,
    lines=False,
)
