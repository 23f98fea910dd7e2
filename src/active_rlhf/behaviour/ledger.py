"""Every query put to the teacher, with its answer once there is one. Nothing is forgotten.

A query is pending until the teacher answers, which for a person may be several sessions later. It
counts toward the budget as soon as it is asked, and as a label once it is answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.files import atomic
from active_rlhf.teachers import Answers


@dataclass(frozen=True)
class Labels:
    """Queries that have an answer, other than skipped ones.

    pairs int64 [n, 2] of segment ids; preferences [n]: 1 first segment, 0 second, 0.5 equal;
    confidences [n] in [0, 1].
    """

    pairs: np.ndarray
    preferences: np.ndarray
    confidences: np.ndarray


COLUMNS = (*(field.name for field in fields(Labels)), "sessions", "held_out", "answered_at")


class Ledger:
    """The record of a run's queries, which never holds more than `budget`."""

    def __init__(self, budget: int):
        self.budget = budget
        self.asked = 0
        self._columns: dict[str, np.ndarray] = {}

    @property
    def remaining(self) -> int:
        """Queries that may still be asked."""
        return self.budget - self.asked

    def column(self, name: str) -> np.ndarray:
        """A read-only column, one of COLUMNS, for all queries in the order asked.

        `preferences` has nan for skipped and pending queries; `sessions` is int64, `held_out` (for
        validation only) bool, and `answered_at` the environment steps by which the run had the
        answer, int64, -1 while it has none; the others are as in `Labels`. Raises
        ValueError before the first query.
        """
        if not self._columns:
            raise ValueError("nothing has been asked yet")
        view = self._columns[name][: self.asked]
        view.flags.writeable = False
        return view

    @property
    def pending(self) -> int:
        """Queries asked that have no answer yet."""
        return int((self.column("answered_at") < 0).sum()) if self.asked else 0

    def ask(self, pairs: np.ndarray, session: int, held_out: np.ndarray) -> np.ndarray:
        """Add a session's queries int64 [n, 2], held_out bool [n]; returns their tickets int64 [n].

        Raises ValueError if they exceed the budget or differ in number.
        """
        count = len(pairs)
        self._add(
            {
                "pairs": np.asarray(pairs, np.int64),
                "preferences": np.full(count, np.nan),
                "confidences": np.full(count, np.nan),
                "sessions": np.full(count, session, np.int64),
                "held_out": np.asarray(held_out, bool),
                "answered_at": np.full(count, -1, np.int64),
            }
        )
        return np.arange(self.asked - count, self.asked)

    def answer(self, tickets: np.ndarray, answers: Answers, step: int = 0) -> None:
        """Record the answers to pending queries, which came after `step` environment steps.

        Raises ValueError if a ticket is not pending, if there are more or fewer answers than
        tickets, or if an answer is not 1, 0, 0.5 or nan.
        """
        preferences = np.asarray(answers.preference, np.float64)
        if not len(tickets) == len(preferences) == len(answers.confidence):
            raise ValueError(f"{len(preferences)} answers to {len(tickets)} queries")
        if (
            len(np.unique(tickets)) < len(tickets)
            or (self.column("answered_at")[tickets] >= 0).any()
        ):
            raise ValueError(f"queries {tickets} are not all pending")
        if not np.all(np.isnan(preferences) | np.isin(preferences, (0.0, 0.5, 1.0))):
            raise ValueError(f"an answer is 1, 0, 0.5 or nan, not {preferences}")
        self._columns["preferences"][tickets] = preferences
        self._columns["confidences"][tickets] = answers.confidence
        self._columns["answered_at"][tickets] = step

    def kinds(self, tickets: np.ndarray) -> dict[str, int]:
        """How many of these answered queries have each answer, and how many of them the reward
        model learns from (`used`)."""
        preferences, held_out = (self.column(n)[tickets] for n in ("preferences", "held_out"))
        masks = {
            "first": preferences == 1.0,
            "second": preferences == 0.0,
            "equal": preferences == 0.5,
            "skipped": np.isnan(preferences),
            "used": np.isfinite(preferences) & ~held_out,
        }
        return {name: int(mask.sum()) for name, mask in masks.items()}

    def _add(self, batch: dict[str, np.ndarray]) -> None:
        counts = {name: len(values) for name, values in batch.items()}
        count = counts["pairs"]
        if count > self.remaining:
            raise ValueError(f"{count} queries asked with {self.remaining} left in the budget")
        if set(counts.values()) != {count}:
            raise ValueError(f"columns of different length: {counts}")
        if not self._columns:
            self._columns = {
                name: np.zeros((self.budget, *values.shape[1:]), values.dtype)
                for name, values in batch.items()
            }
        for name, values in batch.items():
            self._columns[name][self.asked : self.asked + count] = values
        self.asked += count

    def training(self) -> Labels:
        """The answered queries that the reward model learns from."""
        return self._labels(~self.column("held_out"))

    def validation(self) -> Labels:
        """The answered queries held out to validate it."""
        return self._labels(self.column("held_out"))

    def visible_answers(self) -> np.ndarray:
        """Preferences [asked] as a selector may see them: nan where held out, or skipped."""
        if not self._columns:
            return np.empty(0)
        return np.where(self.column("held_out"), np.nan, self.column("preferences"))

    def _labels(self, chosen: np.ndarray) -> Labels:
        chosen = chosen & np.isfinite(self.column("preferences"))
        return Labels(**{field.name: self.column(field.name)[chosen] for field in fields(Labels)})

    def save(self, path: str | Path, **behaviour: np.ndarray) -> None:
        """Write everything as npz, with the `behaviour` that was judged, as arrays [asked, ...].

        The same content gives the same bytes.
        """
        columns: dict[str, Any] = self.state_dict() | behaviour
        with atomic(path) as temporary:
            np.savez(temporary, budget=np.int64(self.budget), **columns)

    def state_dict(self) -> dict[str, Any]:
        """All columns by name; none before the first query."""
        return {name: self.column(name) for name in self._columns}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Fill an empty ledger from the `state_dict` of another."""
        if state:
            self._add({name: state[name] for name in COLUMNS})

    @classmethod
    def load(cls, path: str | Path) -> "Ledger":
        """Read what `save` wrote, without the behaviour; pickled objects are refused."""
        with np.load(path, allow_pickle=False) as file:
            ledger = cls(int(file["budget"]))
            columns = {name: file[name] for name in COLUMNS if name in file}
            former = file.get("answered", True)
        if columns:  # former files do not say when answers came, and the first not even whether
            at = np.where(np.broadcast_to(former, len(columns["pairs"])), 0, -1)
            ledger.load_state_dict({"answered_at": at} | columns)
        return ledger
