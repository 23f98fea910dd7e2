"""The CSV of a panel of Weights & Biases: `Step`, then three columns for each run.

They are called `<run> - <metric>`, and the same with `__MIN` and `__MAX`. W&B draws at most some
hundred points of a run, so a row may stand for several that were logged.
"""

from collections.abc import Iterator

import pandas as pd

from active_rlhf.results.comparable import ExportError
from active_rlhf.results.readers.files import tables
from active_rlhf.results.readers.reader import Choices, Head, Reader

STEPS = ("Step", "global_step", "_step", "train/global_step")
SIDES = ("__MIN", "__MAX")


def _series(head: Head) -> dict[str, tuple[str, str]]:
    """Column -> run and metric."""
    names = [n for n in head.columns[1:] if " - " in n and not n.endswith(SIDES)]
    found = {}
    for name in names:
        run, _, metric = name.rpartition(" - ")
        if not metric.startswith("_"):  # `<run> - _step` says where a point was logged
            found[name] = run, metric
    return found


def _described(head: Head, choices: Choices) -> tuple[str, dict[str, str]]:
    metrics = list(dict.fromkeys(metric for _, metric in _series(head).values()))
    metric = choices.columns.get("return", metrics[0] if len(metrics) == 1 else "")
    if metric not in metrics:
        said = f"no run has {metric}" if metric else "which metric is the return?"
        raise ExportError(
            f"{head.path}: {said} Say `columns: {{return: ...}}` (found: {', '.join(metrics)})"
        )
    return "means", {"step": choices.columns.get("step", head.columns[0]), "return": metric}


def _read(head: Head, choices: Choices) -> Iterator[pd.DataFrame]:
    _, found = _described(head, choices)
    series = {c: run for c, (run, metric) in _series(head).items() if metric == found["return"]}
    for frame in tables(head, [found["step"], *series]):
        for column, run in series.items():
            own = frame[[found["step"], column]].set_axis(["step", "return"], axis=1)
            yield own.dropna(subset="return").assign(run=run)


READER = Reader(
    "wandb_panel",
    "the CSV of a panel of Weights & Biases",
    lambda head: (
        bool(head.columns)
        and (head.columns[0] in STEPS or head.columns[0].endswith("step"))
        and any(f"{name}{side}" in head.columns for name in head.columns for side in SIDES)
    ),
    _described,
    _read,
)
