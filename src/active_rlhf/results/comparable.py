"""Which rows and runs can be compared, and what is wrong with the others.

Rows of runs are a frame with the columns `run`, a Categorical of the runs' names, and `step`,
`return` and perhaps `length` and `labels`, in time order within a run. Its index is the rows' place
in their file, 1 for the first. What is known of each run, its `method` and `seed`, is another
frame, in the order of the categories.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from active_rlhf.errors import InputError

LARGEST = 1e50  # return, so that its fourth power is still a number
REMEDY = "mend the file, or list the run under `exclude:` with a reason"
FAR = 2  # of the longest ordinary distances between rows: a hole, or an early end
UNPAIRED = "`statistics: {design: unpaired}` compares all runs"
SHARED = "`{design: paired}` the seeds that methods share"


class ExportError(InputError):
    """A file of runs cannot be used; the message is one line: which file, where and why."""


@dataclass
class Faults:
    """The first fault of each run of a file."""

    path: str | Path
    first: dict[str, str] = field(default_factory=dict)

    def add(self, found: Iterator[tuple[str, str]]) -> None:
        for run, fault in found:
            self.first.setdefault(run, fault)

    def refuse(self) -> None:
        """Raise ExportError if there are any, naming three runs at most."""
        if not self.first:
            return
        shown = "; ".join(f"{run}: {fault}" for run, fault in list(self.first.items())[:3])
        more = f"; and {len(self.first) - 3} more" if len(self.first) > 3 else ""
        raise ExportError(f"{self.path}: {shown}{more}; {REMEDY}")


def faulty(frame: pd.DataFrame, rows: Any, fault: str) -> Iterator[tuple[str, str]]:
    """A fault for each run with a marked row; `{row}` is the first such row's place."""
    marked = np.asarray(rows)
    if not marked.any():
        return
    bad = frame.loc[marked, "run"].drop_duplicates()
    word = "line" if frame.attrs.get("lines", True) else "row"
    for place, run in zip(bad.index, bad, strict=True):
        yield str(run), fault.format(row=f"{word} {place}")


def value_faults(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Values that are not finite numbers, and bad counts."""
    for column in columns:
        values = frame[column]
        yield from faulty(frame, values.isna(), f"{column} is missing or not a number in {{row}}")
        if column == "return":
            fault, wrong = "is not finite or beyond 1e+50", np.abs(values) > LARGEST
        else:
            fault = "is not a whole number"
            wrong = (values < 0) | (values >= 2**53) | (values % 1 != 0)
        yield from faulty(frame, wrong, f"{column} {fault} in {{row}}")


@dataclass(frozen=True)
class Spacing:
    """How far apart rows are, in steps: `gap` [rows] is the distance to the row before.

    The first row of a run counts from step 0. `starts` and `ends` are the runs' first and last
    rows; `far` [runs] is what no ordinary distance exceeds: twice the longest one of the file's
    median run, or of nine tenths of the run's own, if that is longer. So a hole of a run does not
    excuse itself.
    """

    starts: np.ndarray
    ends: np.ndarray
    gap: np.ndarray
    far: np.ndarray

    @classmethod
    def of(cls, run: np.ndarray, step: np.ndarray, length: np.ndarray | None = None) -> "Spacing":
        """run [rows]: a number for each run, whose rows stand together."""
        starts = np.flatnonzero(np.diff(run, prepend=-1))
        ends = np.append(starts[1:], len(run)) - 1
        gap = np.diff(step, prepend=0)
        gap[starts] = step[starts]
        inside = gap.copy()
        inside[starts] = 0
        longest = np.maximum.reduceat(inside, starts)
        several = ends > starts
        usual = np.array(
            [
                np.quantile(gap[s + 1 : e + 1], 0.9, method="lower") if e > s else 0
                for s, e in zip(starts, ends, strict=True)
            ],
            float,
        )
        base = np.maximum(usual, _low_median(longest[several]))
        if length is not None:  # episodes may be long without a hole
            own = np.maximum.reduceat(length, starts)
            base = np.maximum(base, np.maximum(own, _low_median(own)))
        elif not several.any():  # one row each: as far from 0 as it is
            base = np.maximum(base, _low_median(gap[starts]))
        return cls(starts, ends, gap, FAR * base)

    def holes(self) -> np.ndarray:
        """Rows before which there is a hole; a run that begins late has one before its first."""
        run = np.repeat(np.arange(len(self.starts)), self.ends - self.starts + 1)
        limit = self.far[run]
        first = self.gap[self.starts]
        limit[self.starts] = np.maximum(self.far, FAR * _low_median(first))
        return np.flatnonzero(self.gap > limit)


def _low_median(values: np.ndarray) -> float:
    return float(np.quantile(values, 0.5, method="lower")) if len(values) else 0.0


def run_faults(
    frame: pd.DataFrame, goal: int | None = None, repeated: bool = False
) -> Iterator[tuple[str, str]]:
    """Runs that are out of order, have rows twice or episodes missing, or end early.

    frame: rows of a run stand together. goal: the steps that a run should have; None: those of the
    longest. repeated: rows that are equal in step and return may be different episodes, of
    environments that run in parallel.
    """
    run = frame["run"].cat.codes.to_numpy()
    step = frame["step"].to_numpy(float)
    length = frame["length"].to_numpy(float) if "length" in frame else None
    spacing = Spacing.of(run, step, length)
    gap, starts, ends = spacing.gap, spacing.starts, spacing.ends
    backwards = gap < 0
    backwards[starts] = False
    yield from faulty(frame, backwards, "steps go backwards at {row}")
    if not repeated:
        yield from faulty(frame, _twice(frame, gap, starts), TWICE)
    if length is not None:
        lost = _lost(gap, length, starts, ends)
        yield from faulty(frame, lost, "an episode is missing before {row}, going by its length")
    names = frame["run"].cat.categories[run[starts]]
    final = step[ends]
    wanted = final.max(initial=0) if goal is None else goal
    holes = dict.fromkeys(run[spacing.holes()].tolist())
    for i in np.flatnonzero(final < wanted - spacing.far):
        holed = ", and has holes" if run[starts[i]] in holes else ""
        yield str(names[i]), f"unfinished: ends at step {final[i]:.0f} of {wanted:.0f}{holed}"


TWICE = "duplicate episode: {row} repeats the step and return of one before it"


def _twice(frame: pd.DataFrame, gap: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Rows [rows] whose step and return, and known length, an earlier row of the run has."""
    same = gap == 0
    same[starts] = False
    some = np.flatnonzero(same | np.append(same[1:], False))
    columns = ["run", "step", "return", *(["length"] if "length" in frame else [])]
    found = np.zeros(len(frame), bool)
    found[some] = frame.iloc[some].duplicated(columns).to_numpy()
    return found


def _lost(gap: np.ndarray, length: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Rows [rows] before which an episode is missing.

    Lengths tell this of runs in which most rows are as far from the one before as their episode is
    long (some tools count the reset as a step); environments in parallel, or steps in other units,
    have other distances.
    """
    chained = np.isin(gap - length, (0, 1))
    share = np.add.reduceat(chained, starts) / (ends - starts + 1)
    sequential = np.repeat(share > 0.5, ends - starts + 1)
    return sequential & (gap - length > 1) & (gap > 0)


def twins(runs: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Runs that have the method and seed of another; runs: `method, seed`, indexed by name."""
    for (method, seed), same in runs.groupby(["method", "seed"], observed=True, sort=False):
        if len(same) > 1:
            run, twin = same.index[:2]
            yield str(run), f"duplicate run: {method} seed {seed} is also {twin}"


def require_seeds(
    path: str | Path,
    runs: pd.DataFrame,
    design: str | None,
    excluded: Collection[tuple[str, int]] = (),
) -> None:
    """Raise ExportError if the methods' seeds do not suit the design.

    runs: `method, seed`, and `numbered` where seeds only count runs. Without a design all methods
    must have the same seeds, but for those that are excluded; `paired` compares the seeds that two
    methods share, and `unpaired` needs none.
    """
    if design == "unpaired":
        return
    seeds = {
        str(method): set(own["seed"])
        for method, own in runs.groupby("method", observed=True, sort=False)
    }

    def fail(said: str) -> NoReturn:
        raise ExportError(f"{path}: {said}")

    if "numbered" in runs and runs["numbered"].any() and len(seeds) > 1:
        fail(f"runs are numbered and have no seeds, so they are not paired; {UNPAIRED}")
    for a, b in combinations(seeds, 2):
        if not seeds[a] & seeds[b]:
            fail(f"{a} and {b} have no seed in common, so nothing can be paired; {UNPAIRED}")
    if design == "paired":
        return
    every = set().union(*seeds.values())
    lacking = []
    for method, own in seeds.items():
        absent = sorted(s for s in every - own if (method, s) not in excluded)
        if absent:
            shown = ", ".join(map(str, absent[:3]))
            more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
            lacking.append(f"{method} lacks {len(absent)} of {len(every)} seeds ({shown}{more})")
    if lacking:
        fail(f"{'; '.join(lacking)}; {UNPAIRED}, {SHARED}; or list runs under `exclude:`")
