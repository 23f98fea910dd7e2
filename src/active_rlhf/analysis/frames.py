"""What analysis and figures expect of data frames, checked at their entry."""

import inspect
from collections.abc import Callable
from functools import wraps
from numbers import Real
from typing import ParamSpec, TypeVar

import numpy as np
import pandas as pd

from active_rlhf.errors import InputError

RUNS = "env method seed step return"
EVALUATIONS = "env method seed step return_mean episodes"
SESSIONS = "env method seed session labels"
NUMBERS = ("step", "return", "labels", "return_mean", "episodes", "value")  # columns

P = ParamSpec("P")
R = TypeVar("R")


class FrameError(InputError):
    """A data frame cannot be used; the message is one line: which, where and why."""


def needs(**columns: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function check the columns of its data frames first, and its alpha.

    columns: parameter -> names of columns, separated by spaces. Numbers that a frame holds as
    objects or text reach the function as numbers. Calls raise FrameError naming the parameter and
    the first column that is missing or holds no numbers, and InputError for an impossible alpha.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        call: Callable[..., R] = function

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            given = bound.arguments
            for name, wanted in columns.items():
                what = f"{function.__name__}: {name}"
                require(given[name], wanted, what)
                given[name] = with_numbers(given[name], wanted, what)
            if "alpha" in given:
                require_alpha(given["alpha"])
            return call(*bound.args, **bound.kwargs)

        return checked

    return decorate


def require(frame: pd.DataFrame, columns: str, what: str) -> None:
    """Raise FrameError unless the frame, `what` in the message, has the columns."""
    for name in columns.split():
        if name not in frame:
            needed = ", ".join(columns.split())
            found = ", ".join(map(str, frame)) or "none"
            raise FrameError(f"{what} has no column {name} (needed: {needed}; found: {found})")


def require_rows(frame: pd.DataFrame, what: str) -> None:
    """Raise FrameError if the frame, `what` in the message, is empty."""
    if frame.empty:
        raise FrameError(f"{what} has no rows, so there is nothing to compute")


def with_numbers(frame: pd.DataFrame, columns: str, what: str) -> pd.DataFrame:
    """The frame, with those of these columns that are in NUMBERS as numbers, however stored.

    Raises FrameError naming the column and the first value that is not a number.
    """
    for name in columns.split():
        if name not in NUMBERS or name not in frame or frame.empty:
            continue
        values = frame[name]
        if pd.api.types.is_numeric_dtype(values):
            continue
        numbers = pd.to_numeric(values.astype(object), errors="coerce")
        if pd.api.types.is_datetime64_any_dtype(values):
            numbers[:] = np.nan
        wrong = values[numbers.isna() & values.notna()]
        if len(wrong):
            raise FrameError(f"{what}: column {name} holds {wrong.iloc[0]}, which is not a number")
        frame = frame.assign(**{name: numbers})
    return frame


def require_alpha(alpha: float) -> None:
    """Raise InputError unless alpha is a level of significance."""
    if not (isinstance(alpha, Real) and 0 < alpha < 1):
        raise InputError(f"alpha must lie between 0 and 1, such as 0.05, not {alpha!r}")


def require_runs(runs: pd.DataFrame) -> None:
    """Raise FrameError unless each row is an episode of a named run, in the order of steps.

    Several environments in parallel may end an episode at one step. Returns and, if present, labels
    must be finite.
    """
    require(runs, RUNS, "runs")
    require_rows(runs, "runs")
    keys = ["env", "method", "seed"]
    measured = ["step", "return", *(["labels"] if "labels" in runs else [])]
    numbers = {name: pd.to_numeric(runs[name], errors="coerce").astype(float) for name in measured}
    within_a_run = numbers["step"].groupby([runs[key] for key in keys], observed=True)
    rising = ~(within_a_run.diff() < 0)
    for column, sound, fault in (
        *((key, runs[key].notna(), "is missing") for key in keys),
        *((name, numbers[name].abs() < np.inf, "is not a finite number") for name in measured),
        ("step", rising, "is below the one before; sort the episodes of a run by step"),
    ):
        if not sound.all():
            row = runs.loc[~sound].iloc[0]
            run = ", ".join(f"{key} {row[key]}" for key in keys)
            raise FrameError(f"runs: {run}: {column} {row[column]} {fault}")
