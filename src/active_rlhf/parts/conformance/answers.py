"""Scores, filters, pickers, candidate generators and teachers, over successive sessions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from active_rlhf import teachers
from active_rlhf.parts.conformance.made_up import (
    BATCH,
    LENGTH,
    POOL,
    behaviour,
    pairs,
    question,
    session,
)
from active_rlhf.parts.conformance.subject import Check, Subject, expect
from active_rlhf.run.checkpoint import pack, unpack
from active_rlhf.selection.selector import Selector
from active_rlhf.study.settings import Choice


def _answer(kind: str, part: Any, turn: int) -> np.ndarray:
    generator = np.random.default_rng(turn + 100)
    if kind == "score":
        return np.asarray(part(pairs(turn)))
    if kind == "filter":
        passing = part(pairs(turn))
        return np.ones(POOL, bool) if passing is None else np.asarray(passing)
    if kind == "picker":
        whole = pairs(turn)
        scores = np.abs(whole.differences).mean(0)
        return np.asarray(part(whole.among(np.arange(2, POOL), scores), BATCH, generator))
    if kind == "candidates":
        return np.asarray(part(session(turn), POOL, generator))
    part.ask(BATCH * turn + np.arange(BATCH), *question(turn), generator)
    found = [
        np.stack([tickets, answers.preference, answers.confidence])
        for tickets, answers in part.collect()
    ]  # none yet, of one that takes its time
    return np.concatenate([np.empty((3, 0)), *found], axis=1)


def _started(subject: Subject, settings: Mapping[str, Any]) -> Any:
    """The part, ready to be called."""
    assert subject.part is not None
    if subject.kind == "teacher":
        return teachers.build(Choice(name=subject.name, **settings))
    return subject.part.start(settings)


def _works(subject: Subject, settings: Mapping[str, Any]) -> None:
    """Three sessions in a row, with every check that a run makes of the part's answers."""
    if subject.kind == "teacher":
        teacher = _started(subject, settings)
        for turn in range(3):
            tickets, _, sure = _answer("teacher", teacher, turn)
            asked = BATCH * (turn + 1)
            expect((tickets < asked).all(), f"tickets {tickets} contain some that were not asked")
            expect(((sure >= 0) & (sure <= 1)).all(), f"confidence must be 0 to 1, not {sure}")
        return
    choice = {"name": subject.name, **settings}
    base = {"score": "range", "picker": "top"}
    selector = Selector(base | {subject.kind: choice})
    for turn in range(3):
        selector.select(session(turn), BATCH)
        if subject.kind == "picker":  # all of them, and one
            selector.select(session(turn), POOL)
            selector.select(session(turn), 1)


def _inside(subject: Subject, settings: Mapping[str, Any]) -> None:
    found = _answer("candidates", _started(subject, settings), 1)
    starts, lengths, _ = behaviour().episodes()
    possible = {
        int(start) + i
        for start, length in zip(starts, lengths, strict=True)
        for i in range(length - LENGTH + 1)
    }
    outside_ids = set(np.unique(found).tolist()) - possible
    expect(not outside_ids, f"segments {sorted(outside_ids)[:3]} cross the end of an episode")
    expect(len(found) <= POOL, f"gave {len(found)} pairs where {POOL} were wanted")


def _repeats(subject: Subject, settings: Mapping[str, Any]) -> None:
    one, other = (_started(subject, settings) for _ in range(2))
    for turn in range(3):
        first, second = (_answer(subject.kind, part, turn) for part in (one, other))
        same = np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
        expect(same, f"session {turn}: the same question got a different answer the second time")


def _either_order(subject: Subject, settings: Mapping[str, Any]) -> None:
    for turn in range(3):
        answers = []
        for swapped in (False, True):
            found = _started(subject, settings)(pairs(turn, swapped))
            answers.append(np.ones(POOL) if found is None else np.asarray(found, float))
        far = ~np.isclose(answers[0], answers[1], rtol=1e-6, atol=1e-9)
        expect(
            not far.any(),
            f"{far.sum()} of {POOL} pairs get a different one when their segments are swapped",
        )


def _resumes(subject: Subject, settings: Mapping[str, Any]) -> None:
    one, other = (_started(subject, settings) for _ in range(2))
    for turn in range(3):
        _answer(subject.kind, one, turn)
    other.load_state_dict(unpack(pack(one.state_dict())))
    for turn in (3, 4):
        first, second = (_answer(subject.kind, part, turn) for part in (one, other))
        same = np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
        expect(same, "its saved state does not restore another one to the same point")


CHECKS: tuple[Check, ...] = (
    ("returns what a run needs", _works),
    ("is deterministic", _repeats),
    ("resumes from its saved state", _resumes),
)
ORDER: Check = ("does not depend on which segment comes first", _either_order)
INSIDE: Check = ("draws segments that lie inside one episode", _inside)
