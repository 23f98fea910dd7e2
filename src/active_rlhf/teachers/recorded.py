"""The answers of an earlier run, when they came then: people's labels repeat a run without them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from active_rlhf.errors import InputError
from active_rlhf.files import sha256
from active_rlhf.parts import teacher
from active_rlhf.study.sections import Section, setting
from active_rlhf.teachers import Answers, History, Place, Question


class RecordedSettings(Section):
    """Where the answers are."""

    labels: str = setting(
        ...,
        "a finished run's `labels.npz`, or what `active-rlhf labels` made of one or more runs, "
        "relative to the study's file or to the working directory",
        unit="file",
        min_length=1,
    )
    sha256: str | None = setting(
        None,
        "of that file; filled in when the study is read, so that other answers train again",
        unit="hash",
        shown="the file's",
        pattern="^[0-9a-f]{64}$",
        form="64 hexadecimal digits",
    )

    def found_from(self, folder: Path) -> Self:
        """With the file's place from the working directory, and its hash."""
        places = [os.path.normpath(place) for place in (folder / self.labels, self.labels)]
        file = next((place for place in places if os.path.isfile(place)), None)
        if file is None:
            raise InputError(f"labels: there is no file {places[0]}")
        found = sha256(file)
        if self.sha256 not in (None, found):
            raise InputError(f"sha256: {file} has {found}; leave it out to take what is there")
        inside = os.path.abspath(file).startswith(os.getcwd() + os.sep)
        place = os.path.relpath(file) if inside else file
        return self.model_copy(update={"labels": place, "sha256": found})


@teacher
class Recorded:
    """The answers of an earlier run, each at the step at which that run had it.

    The run must ask what the recorded one asked: of the same study, selector and seed. It then ends
    with the same bytes. Of a file of several runs it takes the one of its environment, method and
    seed.
    """

    def __init__(self, *, settings: RecordedSettings):
        self.settings = settings
        self._asked = 0

    def begin_at(self, place: Place) -> None:
        from active_rlhf.labelling.data import read

        self.place, self.file = place, self.settings.labels
        if self.settings.sha256 not in (None, sha256(self.file)):
            raise InputError(f"{self.file}: is another file than when the study was read")
        runs, spec = read(Path(self.file)), place.spec
        wanted = spec.environment, spec.method, spec.seed
        found = runs if len(runs) == 1 else [own for own in runs if own.run == wanted]
        if not found:
            raise InputError(
                f"{self.file}: has no labels of {wanted[0]} {wanted[1]} seed {spec.seed}"
            )
        self.recorded = found[0]
        columns = self.recorded.columns
        self._step = columns["answered_at"]
        self._answers = Answers(columns["preferences"], columns["confidences"])

    def ask(
        self,
        tickets: np.ndarray,
        question: Question,
        history: History,
        generator: np.random.Generator,
    ) -> None:
        from active_rlhf.labelling.queue import digest_of

        for ticket, pair in zip(tickets, question.pairs, strict=True):
            where = f"query {ticket} of session {question.session}, step {question.step:,}"
            if ticket >= len(self.recorded):
                known = len(self.recorded)
                raise InputError(f"{self.file}: {where}: only {known} queries are recorded")
            shown = self.place.behaviour.gather(pair, self.place.length)
            if digest_of(*shown) != self.recorded.digests[ticket]:
                raise InputError(
                    f"{self.file}: {where}: asks about another pair than the recorded run "
                    f"({self.recorded.name}) did; answers repeat a run of the same study, selector "
                    "and seed"
                )
            if 0 <= self._step[ticket] < question.step:
                raise InputError(
                    f"{self.file}: {where}: was answered at step {self._step[ticket]:,}, before "
                    "this run asks it"
                )
        self._asked = int(tickets[-1]) + 1

    def _now(self) -> np.ndarray:
        """The tickets of the queries that the recorded run had an answer to at this step."""
        return np.flatnonzero(self._step[: self._asked] == self.place.behaviour.steps)

    def collect(self) -> list[tuple[np.ndarray, Answers]]:
        now = self._now()
        if not len(now):
            return []
        answers = Answers(self._answers.preference[now], self._answers.confidence[now])
        return [(now, answers)]

    def has_news(self) -> bool:
        """Whether the recorded run had answers at this step."""
        return len(self._now()) > 0

    def state_dict(self) -> dict[str, Any]:
        return {"asked": self._asked}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._asked = state["asked"]
