"""The part of a study that is finished, as a study of its own: what is missing is excluded."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from active_rlhf.errors import InputError
from active_rlhf.study.ending import UNFINISHED
from active_rlhf.study.matrix import baselines, methods, methods_trained, shown_methods, study_runs
from active_rlhf.study.settings import Exclusion, Study, Variant

Run = tuple[str, str, int]  # environment, method, seed, as in `study_runs`


@dataclass(frozen=True)
class Cell:
    """What is finished of one cell: the seeds that were asked for, and those that are missing."""

    env: str
    method: str  # as tables show it
    asked: int
    missing: tuple[int, ...]


def finished_part(study: Study, missing: Collection[Run]) -> Study:
    """The study without the runs that are missing, each excluded as UNFINISHED.

    An environment without any finished run of a method is left out. Baselines are left out if one
    of them has no finished run in some environment, as then nothing can be normalised there.
    `partial` says how much is finished. Raises InputError if nothing is.
    """
    there = [run for run in study_runs(study) if run not in missing]
    cells = {run[:2] for run in there}
    environments = {
        name: settings
        for name, settings in study.environments.items()
        if any((name, method) in cells for method in methods(study))
    }
    if not environments:
        raise InputError(f"results/{study.study}: no run of a method is finished; train some first")
    normalised = all((name, low) in cells for name in environments for low in baselines(study))
    none = [name for name in study.environments if name not in environments]
    part = study.model_copy(
        update={
            "environments": environments,
            "variants": _within(environments, study.variants),
            "baselines": study.baselines and normalised,
            "partial": f"{len(there)} of {len(study_runs(study))} runs are finished"
            + (f", none on {', '.join(none)}" if none else "")
            + (", too few baselines to normalise" if study.baselines and not normalised else ""),
        }
    )
    trained = methods_trained(part)
    left_out = [
        Exclusion(env=env, method=method, seed=seed, reason=UNFINISHED)
        for env, method, seed in missing
        if env in environments and method in trained
    ]
    kept = [entry for entry in study.exclude if entry.env in environments]
    return part.model_copy(update={"exclude": (*kept, *left_out)})


def _within(
    environments: Collection[str], variants: Mapping[str, Variant] | None
) -> dict[str, Variant] | None:
    """The variants without the settings of environments that are left out."""
    if variants is None:
        return None
    return {
        name: variant.model_copy(
            update={
                "environments": {
                    env: own for env, own in variant.environments.items() if env in environments
                }
            }
        )
        for name, variant in variants.items()
    }


def coverage(study: Study, missing: Collection[Run]) -> list[Cell]:
    """Each cell of the whole study, in its order, with the seeds that it has and lacks."""
    shown = shown_methods(study) or {}
    seeds: dict[tuple[str, str], list[int]] = {}
    for env, method, seed in study_runs(study):
        seeds.setdefault((env, method), []).append(seed)
    return [
        Cell(
            env,
            shown.get(method, method),
            len(asked),
            tuple(seed for seed in asked if (env, method, seed) in missing),
        )
        for (env, method), asked in seeds.items()
    ]
