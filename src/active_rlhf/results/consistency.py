"""Whether the files of one finished run agree with its spec and with each other."""

import math
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.errors import InputError
from active_rlhf.results.collect import EPISODES, EVALUATIONS, OPTIONAL, SESSIONS
from active_rlhf.results.export import read_csv
from active_rlhf.run.schedule import RECENT_RETURNS, Plan
from active_rlhf.study.settings import Spec

Fault = tuple[str, str]  # a file of the run, what is wrong with it


def faults(directory: Path, spec: Spec, result: dict[str, Any]) -> Iterator[Fault]:
    """What contradicts the spec or another file of the run, whose run.json is `result`.

    Each fault is said of the file that it shows in; a file that cannot be read is one fault.
    """
    plan = Plan.of(spec)
    for key, value in {"steps": plan.steps, "queries": sum(plan.queries)}.items():
        if result.get(key) != value:
            yield "run.json", f"{key} is {result.get(key)!r}, the run's settings give {value}"
    yield from _of_table(directory / "episodes.csv", EPISODES, _episodes, plan, result)
    episodes = spec.evaluation.episodes, spec.evaluation.every
    yield from _of_table(directory / "evaluations.csv", EVALUATIONS, _evaluations, plan, *episodes)
    if plan.queries:
        sessions: list[pd.DataFrame] = []
        yield from _of_table(directory / "sessions.csv", SESSIONS, _sessions, plan, sessions)
        if sessions:
            yield from _ledger(directory / "labels.npz", plan, sessions[0])


def _of_table(path: Path, columns: tuple[str, ...], check: Any, *given: Any) -> Iterator[Fault]:
    numbers = [name for name in columns if name not in OPTIONAL]
    try:
        frame = read_csv(path, numbers, [name for name in columns if name in OPTIONAL])
    except InputError as error:
        yield path.name, str(error).removeprefix(f"{path}: ")
        return
    for fault in check(frame, *given):
        yield path.name, fault


def _unlike(frame: pd.DataFrame, **expected: Any) -> Iterator[str]:
    """The first row of each column that is not as expected; a wrong number of rows before all."""
    for name, values in expected.items():
        if len(frame) != len(values):
            yield f"{len(frame)} rows, the run's settings give {len(values)}"
            return
        wrong = np.flatnonzero(frame[name].to_numpy(float) != np.asarray(values, float))
        if len(wrong):
            row = wrong[0]
            found, right = frame[name].iloc[row], np.asarray(values)[row]
            yield f"{name} in line {row + 2} is {found}, the run's settings give {right}"


def _episodes(frame: pd.DataFrame, plan: Plan, result: dict[str, Any]) -> Iterator[str]:
    if len(frame) != result.get("episodes"):
        yield f"{len(frame)} episodes, run.json says {result.get('episodes')!r}"
    steps = frame["step"].to_numpy(float)
    again = np.flatnonzero(np.diff(steps) <= 0)
    apart = np.flatnonzero(np.cumsum(frame["length"].to_numpy(float)) != steps)
    if len(again):
        yield f"line {again[0] + 3} does not end after the line before: there twice or disordered"
    elif len(apart):
        row = apart[0]
        yield f"line {row + 2} ends at step {steps[row]:.0f}, which is not the sum of lengths"
    elif len(steps) and steps[-1] > plan.steps:
        yield f"ends at step {steps[-1]:.0f} of {plan.steps}"
    else:
        yield from _unlike(frame, labels=plan.asked((steps.astype(int) - 1) // plan.size))
    last = [float(value) for value in frame["return"].iloc[-RECENT_RETURNS:]]
    mean, stated = fmean(last) if last else math.nan, result.get("final_return")
    if not (isinstance(stated, (int, float)) and math.isclose(mean, stated, rel_tol=1e-12)):
        yield f"the last {len(last)} returns have the mean {mean}, run.json says {stated!r}"


def _evaluations(frame: pd.DataFrame, plan: Plan, episodes: int, every: int) -> Iterator[str]:
    ends = plan.size * np.arange(1, plan.rollouts + 1)
    due = ends // every > (ends - plan.size) // every
    due[-1] = True
    step = ends[due]
    labels = plan.asked(step // plan.size)
    yield from _unlike(frame, step=step, episodes=np.full(len(step), episodes), labels=labels)


def _sessions(frame: pd.DataFrame, plan: Plan, checked: list[pd.DataFrame]) -> Iterator[str]:
    found = list(
        _unlike(
            frame,
            session=range(len(plan.when)),
            step=(np.array(plan.when) + 1) * plan.size,
            asked=plan.queries,
            held_out=plan.held_out,
            labels=list(accumulate(plan.queries)),
        )
    )
    yield from found
    counts = frame["answered"] + frame["skipped"] != frame["asked"]
    if counts.any():
        yield f"line {int(np.argmax(counts)) + 2}: answered and skipped are not all that was asked"
    elif not found:
        checked.append(frame)


def _ledger(path: Path, plan: Plan, sessions: pd.DataFrame) -> Iterator[Fault]:
    try:
        ledger = Ledger.load(path)
        preferences = ledger.column("preferences")
        rows = {name: ledger.column(name) for name in ("sessions", "held_out")}
    except Exception as error:  # whatever numpy and zipfile make of damaged bytes
        yield path.name, f"not readable ({type(error).__name__}: {' '.join(str(error).split())})"
        return
    number = rows["sessions"].astype(float)
    for name, mask in {
        "asked": np.ones(len(number), bool),
        "held_out": rows["held_out"],
        "skipped": np.isnan(preferences),
        "tied": preferences == 0.5,
    }.items():
        counts = [int((number[mask] == session).sum()) for session in range(len(plan.when))]
        if sum(counts) != mask.sum() or counts != sessions[name].tolist():
            yield path.name, f"{name} by session is {counts}, sessions.csv says otherwise"
            return
