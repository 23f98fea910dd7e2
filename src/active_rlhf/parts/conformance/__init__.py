"""Whether a part does what a run expects of its kind, tried on synthetic data and a tiny run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from active_rlhf.errors import InputError, line
from active_rlhf.parts import KINDS, outside, registry
from active_rlhf.parts.conformance import agents, answers, reward_models, tasks
from active_rlhf.parts.conformance.runs import RUN
from active_rlhf.parts.conformance.subject import Check, Subject

CHECKS: dict[str, tuple[Check, ...]] = {
    "score": (*answers.CHECKS, answers.ORDER),
    "filter": (*answers.CHECKS, answers.ORDER),
    "picker": answers.CHECKS,
    "candidates": (*answers.CHECKS, answers.INSIDE),
    "teacher": answers.CHECKS,
    "reward_model": reward_models.CHECKS,
    "agent": agents.CHECKS,
    "task": tasks.CHECKS,
}


def subjects(source: str) -> list[Subject]:
    """The parts that a file or package declares, or one kind of part from the package itself.

    Raises InputError if it cannot be loaded.
    """
    if source in KINDS:
        found = [registry.part(source, name) for name in registry.known(source)]
        return [Subject(source, part.name, None, part) for part in found]
    loaded, origin = outside.load_parts([source]), outside.place(source, Path())
    environments = sorted(registry.environments)
    return [
        *(Subject(part.kind, part.name, origin, part) for part in loaded),
        *(Subject("task", name, origin, None) for name in environments),
    ]


def outcomes(subject: Subject, settings: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Each check of the part with these settings, and the fault it found, if any."""
    if subject.part is not None:
        try:
            subject.part.complete(settings)
        except InputError as error:
            yield "settings", line(error)
            return
    for sentence, check in (*CHECKS[subject.kind], RUN):
        try:
            check(subject, settings)
            fault = None
        except Exception as error:  # a part may raise anything
            fault = line(error) if isinstance(error, InputError | AssertionError) else _told(error)
        yield sentence, fault


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {line(error)}"
