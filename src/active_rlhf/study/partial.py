"""The part of a study that is finished, as a study of its own: what is missing is excluded."""

from collections.abc import Collection
from dataclasses import dataclass

from active_rlhf.errors import InputError
from active_rlhf.study.ending import UNFINISHED
from active_rlhf.study.matrix import baselines, methods_trained, selectors, study_runs
from active_rlhf.study.settings import Exclusion, Study

Run = tuple[str, str, int]  # environment, selector, seed, as in `study_runs`


@dataclass(frozen=True)
class Cell:
    """What is finished of one cell: the seeds that were asked for, and those that are missing."""

    env: str
    method: str  # as tables show it
    asked: int
    missing: tuple[int, ...]


def finished_part(study: Study, missing: Collection[Run]) -> Study:
    """The study without the runs that are missing, each excluded as UNFINISHED.

    An environment without any finished run of a selector is left out. Baselines are left out if one
    of them has no finished run in some environment, as then nothing can be normalised there.
    `partial` says how much is finished. Raises InputError if nothing is.
    """
    there = [run for run in study_runs(study) if run not in missing]
    cells = {run[:2] for run in there}
    environments = {
        name: settings
        for name, settings in study.environments.items()
        if any((name, selector) in cells for selector in selectors(study))
    }
    if not environments:
        raise InputError(
            f"results/{study.study}: no run of a selector is finished; train some first"
        )
    normalised = all((name, low) in cells for name in environments for low in baselines(study))
    none = [name for name in study.environments if name not in environments]
    part = study.model_copy(
        update={
            "environments": environments,
            "baselines": study.baselines and normalised,
            "partial": f"{len(there)} of {len(study_runs(study))} runs are finished"
            + (f", none on {', '.join(none)}" if none else "")
            + (", too few baselines to normalise" if study.baselines and not normalised else ""),
        }
    )
    left_out = [
        Exclusion(env=env, method=selector, seed=seed, reason=UNFINISHED)
        for env, selector, seed in missing
        if env in environments and selector in methods_trained(part)
    ]
    kept = [entry for entry in study.exclude if entry.env in environments]
    return part.model_copy(update={"exclude": (*kept, *left_out)})


def coverage(study: Study, missing: Collection[Run]) -> list[Cell]:
    """Each cell of the whole study, in its order, with the seeds that it has and lacks."""
    shown = study.methods or {}
    seeds: dict[tuple[str, str], list[int]] = {}
    for env, selector, seed in study_runs(study):
        seeds.setdefault((env, selector), []).append(seed)
    return [
        Cell(
            env,
            shown.get(selector, selector),
            len(asked),
            tuple(seed for seed in asked if (env, selector, seed) in missing),
        )
        for (env, selector), asked in seeds.items()
    ]
