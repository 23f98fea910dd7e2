"""Whether the files of one finished run follow from its spec and from each other."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.errors import InputError, line
from active_rlhf.results.collect import ANSWERS, EPISODES, EVALUATIONS, OPTIONAL, SESSIONS
from active_rlhf.results.export import read_csv
from active_rlhf.run.schedule import RECENT_RETURNS, Plan
from active_rlhf.study.settings import Evaluation, Spec

Fault = tuple[str, str]  # a file of the run, what is wrong with it
Faults = Iterator[str]
Counts = dict[int, dict[str, int]]
"""By the step at which answers came: how many of each kind."""
NONE = dict.fromkeys(ANSWERS, 0)
SETTINGS = "the run's settings give"


def faults(directory: Path, spec: Spec, result: dict[str, Any]) -> Iterator[Fault]:
    """What contradicts the spec or another file of the run; `result` is its run.json.

    Each fault comes with the file in which it shows. A file that cannot be read is one fault.
    """
    plan = Plan.of(spec)
    for key, value in {"steps": plan.steps, "queries": sum(plan.queries)}.items():
        if result.get(key) != value:
            yield "run.json", f"{key} is {result.get(key)!r}, {SETTINGS} {value}"
    counts: Counts = {}
    if plan.queries:
        for fault in _ledger(plan, counts, directory / "labels.npz"):
            yield "labels.npz", fault
    checks: list[tuple[str, Sequence[str], Callable[[pd.DataFrame], Faults]]] = [
        ("episodes.csv", EPISODES, partial(_episodes, plan, result)),
        ("evaluations.csv", EVALUATIONS, partial(_evaluations, plan, spec.evaluation)),
        ("sessions.csv", SESSIONS, partial(_sessions, plan, counts)),
    ]
    for name, columns, check in checks if plan.queries else checks[:2]:
        path = directory / name
        numbers = [column for column in columns if column not in OPTIONAL]
        try:
            frame = read_csv(path, numbers, [column for column in columns if column in OPTIONAL])
        except InputError as error:
            yield name, str(error).removeprefix(f"{path}: ")
        else:
            yield from ((name, fault) for fault in check(frame))


def _unlike(frame: pd.DataFrame, expected: Mapping[str, Any], giver: str = SETTINGS) -> Faults:
    """The first unexpected value of each column, or else a wrong number of rows."""
    for name, values in expected.items():
        if len(frame) != len(values):
            yield f"{len(frame)} rows, {giver} {len(values)}"
            return
        wrong = np.flatnonzero(frame[name].to_numpy(float) != np.asarray(values, float))
        if len(wrong):
            row = wrong[0]
            found, right = frame[name].iloc[row], np.asarray(values)[row]
            yield f"{name} in line {row + 2} is {found}, {giver} {right}"


def _episodes(plan: Plan, result: dict[str, Any], frame: pd.DataFrame) -> Faults:
    if len(frame) != result.get("episodes"):
        yield f"{len(frame)} episodes, run.json says {result.get('episodes')!r}"
    steps, lengths = (frame[name].to_numpy(float) for name in ("step", "length"))
    order = list(_unlike(frame, {"step": np.cumsum(lengths)}, "the lengths of episodes give"))
    if order:
        yield from order
    elif len(steps) and not (lengths.min() >= 1 and steps[-1] <= plan.steps):
        yield f"has an episode without steps, or ends at step {steps[-1]:.0f} of {plan.steps}"
    else:
        labels = plan.asked((steps.astype(int) - 1) // plan.size)
        yield from _unlike(frame, {"labels": labels})
    last = [float(value) for value in frame["return"].iloc[-RECENT_RETURNS:]]
    mean, stated = fmean(last) if last else math.nan, result.get("final_return")
    if not (isinstance(stated, (int, float)) and math.isclose(mean, stated, rel_tol=1e-12)):
        yield f"the last {len(last)} returns have the mean {mean}, run.json says {stated!r}"


def _evaluations(plan: Plan, evaluation: Evaluation, frame: pd.DataFrame) -> Faults:
    ends = plan.size * np.arange(1, plan.rollouts + 1)
    due = ends // evaluation.every > (ends - plan.size) // evaluation.every
    due[-1] = True
    step = ends[due]
    episodes = np.full(len(step), evaluation.episodes)
    labels = plan.asked(step // plan.size)
    yield from _unlike(frame, {"step": step, "episodes": episodes, "labels": labels})


def _sessions(plan: Plan, counts: Counts, frame: pd.DataFrame) -> Faults:
    between = frame["asked"] == 0  # answers that came later than their questions
    asking = frame[~between].reset_index(drop=True)
    planned = {
        "session": range(len(plan.when)),
        "step": (np.array(plan.when) + 1) * plan.size,
        "asked": plan.queries,
        "held_out": plan.held_out,
        "labels": list(accumulate(plan.queries)),
    }
    found = list(_unlike(asking, planned))
    yield from found
    if not found and counts:
        arrived = {name: [counts.get(at, NONE)[name] for at in frame["step"]] for name in ANSWERS}
        yield from _unlike(frame, arrived, "labels.npz gives")
        if missing := sorted(counts.keys() - set(frame["step"])):
            yield f"nothing of the answers that labels.npz has at step {missing[0]}"
    small, large = (asking[name].to_numpy(float) for name in ("shortlist", "pool"))
    if not ((asking["asked"] <= small) & (small <= large)).all():
        yield "a shortlist has fewer pairs than were asked, or more than its pool"


def _ledger(plan: Plan, counts: Counts, path: Path) -> Faults:
    """Compare the ledger with the plan; if they agree, fill `counts`."""
    try:
        ledger = Ledger.load(path)
        sessions, held_out = (ledger.column(name) for name in ("sessions", "held_out"))
    except Exception as error:  # numpy and zipfile may raise anything for damaged bytes
        yield f"not readable ({type(error).__name__}: {line(error)})"
        return
    each = [np.flatnonzero(sessions == session) for session in range(len(plan.when))]
    by_session = {
        "asked": [len(tickets) for tickets in each],
        "held_out": [int(held_out[tickets].sum()) for tickets in each],
    }
    totals = {"asked": len(sessions), "held_out": int(held_out.sum())}
    for name, planned in {"asked": plan.queries, "held_out": plan.held_out}.items():
        found, total = by_session[name], totals[name]
        if (found, total) != (planned, sum(planned)):
            yield f"{name} by session is {found} of {total}, {SETTINGS} {planned}"
            return
    came = ledger.column("answered_at")
    for at in np.unique(came[came >= 0]):
        counts[int(at)] = ledger.kinds(np.flatnonzero(came == at))
