"""What analysis and figures expect of data frames, checked at their entry."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import pandas as pd

from active_rlhf.errors import InputError

RUNS = "env method seed step return"
EVALUATIONS = "env method seed step return_mean episodes"

P = ParamSpec("P")
R = TypeVar("R")


class FrameError(InputError):
    """A data frame cannot be used; the message is one line: which, where and why."""


def needs(**columns: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function check the columns of its data frames first.

    columns: parameter -> names of columns, separated by spaces. Calls raise FrameError naming the
    parameter and the first column that is missing.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs).arguments
            for name, wanted in columns.items():
                require(given[name], wanted, f"{function.__name__}: {name}")
            return function(*args, **kwargs)

        return checked

    return decorate


def require(frame: pd.DataFrame, columns: str, what: str) -> None:
    """Raise FrameError unless the frame, `what` in the message, has the columns."""
    for name in columns.split():
        if name not in frame:
            needed = ", ".join(columns.split())
            found = ", ".join(map(str, frame)) or "none"
            raise FrameError(f"{what} has no column {name} (needed: {needed}; found: {found})")


def require_runs(runs: pd.DataFrame) -> None:
    """Raise FrameError unless each row is an episode of a named run, in the order of steps.

    Several environments in parallel may end an episode at one step. Returns and, if present, labels
    must be finite.
    """
    require(runs, RUNS, "runs")
    keys = ["env", "method", "seed"]
    measured = ["step", "return", *(["labels"] if "labels" in runs else [])]
    numbers = {name: pd.to_numeric(runs[name], errors="coerce") for name in measured}
    within_a_run = numbers["step"].groupby([runs[key] for key in keys], observed=True)
    rising = ~(within_a_run.diff() < 0)
    for column, sound, fault in (
        *((key, runs[key].notna(), "is missing") for key in keys),
        *((name, np.isfinite(numbers[name]), "is not a finite number") for name in measured),
        ("step", rising, "is below the one before; sort the episodes of a run by step"),
    ):
        if not sound.all():
            row = runs.loc[~sound].iloc[0]
            run = ", ".join(f"{key} {row[key]}" for key in keys)
            raise FrameError(f"runs: {run}: {column} {row[column]} {fault}")
