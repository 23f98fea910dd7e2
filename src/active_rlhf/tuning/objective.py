"""What a trial is worth: one return for each of its runs, and one value for all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from active_rlhf.analysis.endpoints import auc, final
from active_rlhf.errors import InputError
from active_rlhf.files import folder_name
from active_rlhf.results.collect import EPISODES, EVALUATIONS, read_result, run_table
from active_rlhf.study.loading import resolve_run
from active_rlhf.study.matrix import BASELINES
from active_rlhf.study.settings import Study
from active_rlhf.study.starting import seeded
from active_rlhf.study.sweep import Objective, Stage, Sweep, stages
from active_rlhf.tuning.records import Result, StageFile, read_stage

Yardsticks = Mapping[str, tuple[float, float]]
"""Environment -> the returns that count as 0 and 1."""


def return_of(run: Path, spec: Mapping[str, Any], seed: int, endpoint: str) -> float:
    """The endpoint of one finished run: `evaluation`, `final` or `auc` (from step 0 to its end).

    Raises ExportError if it is not the finished run of this spec and seed, or damaged.
    """
    result = read_result(run, seeded(spec, seed))
    if endpoint == "evaluation":
        evaluations = run_table(run / "evaluations.csv", EVALUATIONS, result)
        return float(evaluations["return_mean"].iloc[-1])
    episodes = run_table(run / "episodes.csv", EPISODES, result)
    returns, steps = (episodes[name].to_numpy(float) for name in ("return", "step"))
    if endpoint == "final":
        return final(returns, steps)
    return auc(returns, steps, 0.0, float(result["steps"]))


def yardsticks(study: Study, folder: Path) -> Yardsticks | None:
    """Mean returns of both baselines over the tuning seeds; None for a single environment, whose
    returns are not normalised.

    folder: holds `<baseline>/<environment>/<seed>/`. Raises InputError where the upper one is not
    above the lower one.
    """
    sweep = study.sweep
    assert sweep is not None
    if len(study.environments) == 1:
        return None
    found = {}
    for environment in study.environments:
        means = []
        for name in BASELINES:
            spec = resolve_run(study, environment, name, sweep.seeds[0]).as_dict()
            runs = folder / name / folder_name(environment)
            endpoint = sweep.objective.endpoint
            returns = [return_of(runs / str(seed), spec, seed, endpoint) for seed in sweep.seeds]
            means.append(float(np.mean(returns)))
        low, high = means
        if not low < high:
            raise InputError(
                f"{environment}: returns cannot be normalised, as {BASELINES[1]} ({high:g}) is not "
                f"above {BASELINES[0]} ({low:g})"
            )
        found[environment] = (low, high)
    return found


def summed_up(scores: Sequence[float], objective: Objective) -> float:
    """One value for the scores of a trial's runs; `iqm` drops the lowest and highest quarter."""
    if objective.over == "iqm":
        return float(scipy.stats.trim_mean(scores, 0.25))
    return float(np.mean(scores))


def judged(
    folder: Path,
    sweep: Sweep,
    stage: Stage,
    content: StageFile,
    earlier: Sequence[Result],
    ends: Yardsticks | None,
) -> list[Result]:
    """The results of a stage's trials, from their runs.

    folder: of the selector's sweep; earlier: the results of the stage before, whose runs count too
    if this stage only adds seeds; ends: what returns are normalised between, if they are.
    """
    before = {result.trial: result for result in earlier if stage.new_seeds != stage.seeds}
    found = []
    for trial in content.trials:
        runs = list(before[trial.number].runs) if before else []
        for name, spec in trial.specs.items():
            environment = spec["environment"]
            low, high = ends[environment] if ends else (0.0, 1.0)
            for seed in stage.new_seeds:
                run = folder / stage.name / trial.folder / name / str(seed)
                value = return_of(run, spec, seed, sweep.objective.endpoint)
                runs.append((environment, seed, value, (value - low) / (high - low)))
        value = summed_up([score for *_, score in runs], sweep.objective)
        found.append(Result(trial.number, value, runs))
    return found


def read_history(
    folder: Path, sweep: Sweep, until: Stage | None, ends: Yardsticks | None
) -> list[tuple[Stage, StageFile, list[Result]]]:
    """The stages of a selector before `until`, or all of them, with the results of each.

    folder: of the selector's sweep. The results of the last of them are computed from its runs;
    those of the others are in the files of the stages after them.
    """
    every = stages(sweep)
    before = every[: every.index(until)] if until else every
    files = [read_stage(folder / f"{stage.name}.json") for stage in before]
    results = [list(content.results) for content in files[1:]]
    if before:
        earlier = results[-1] if results and before[-1].rung else []
        results.append(judged(folder, sweep, before[-1], files[-1], earlier, ends))
    return list(zip(before, files, results, strict=True))
