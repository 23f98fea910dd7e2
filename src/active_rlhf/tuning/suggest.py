"""Which trials come next: new ones by Optuna's samplers, or the better ones of the stage before.

A sampler sees the trials and results so far, as if it had been there all along, and draws from a
stream that belongs to the stage. So the same results lead to the same suggestions, whenever and
wherever they are asked for.
"""

import json
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from active_rlhf.errors import InputError
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.sweep import Dimension, Stage, Sweep
from active_rlhf.tuning.records import History, Result, StageFile, Trial

TRIES = 200  # for values that are new and work, after which they are drawn at random
RANDOM_TRIES = 2000

ALWAYS_THE_SAME = ("grid", "qmc")  # samplers that go through one sequence of points

optuna.logging.set_verbosity(optuna.logging.WARNING)

Resolve = Callable[[Mapping[str, Any]], Mapping[str, Mapping[str, Any]]]
"""From values to the specs of a trial, by environment; raises ConfigError if they do not work."""


def promoted(
    stage: Stage, before: StageFile, results: Sequence[Result], resolve: Resolve
) -> list[Trial]:
    """The better trials of the stage before, in the order of their numbers.

    Of equal values the earlier trial goes on.
    """
    ranked = sorted(results, key=lambda result: (-result.value, result.trial))
    chosen = {result.trial for result in ranked[: stage.size]}
    trials = [trial for trial in before.trials if trial.number in chosen]
    return [
        Trial(trial.number, stage.folder(slot), trial.values, resolve(trial.values))
        for slot, trial in enumerate(trials)
    ]


def suggested(
    sweep: Sweep,
    selector: str,
    stage: Stage,
    history: History,
    resolve: Resolve,
    default: Mapping[str, Any] | None,
    code: str,
) -> StageFile:
    """The trials of a stage.

    history: all stages before; default: the study's own values of the tuned settings, which are the
    first trial if they lie in the space. No two trials of a selector have the same values, and
    those that do not work together are left out and listed. Raises InputError if there are no
    values left.
    """
    last = history[-1][2] if history else ()
    if stage.rung:
        trials = promoted(stage, history[-1][1], last, resolve)
        return StageFile(stage.name, code, trials, last, (), history[-1][1].attributes)
    space = sweep.space_of(selector)
    distributions = {key: distribution(dimension) for key, dimension in space.items()}
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(
        storage=storage, direction="maximize", sampler=_sampler(sweep, selector, stage, space)
    )
    past = frozen_trials(sweep, selector, history)
    study.add_trials(past)
    identity = storage.get_study_id_from_name(study.study_name)
    for key, value in (history[-1][1].attributes if history else {}).items():
        storage.set_study_system_attr(identity, key, value)
    if default is not None and not past and sweep.sampler != "grid":
        possible = all(space[key].holds(value) for key, value in default.items())
        if possible:
            study.enqueue_trial(parameters(default))
    seen = {_key(trial.params) for trial in past}
    trials, refused, tries = [], [], 0
    while len(trials) < stage.size:
        tries += 1
        if tries == TRIES:
            study.sampler = optuna.samplers.RandomSampler(_seed(sweep, selector, stage.name))
        if tries > RANDOM_TRIES:
            raise InputError(f"{selector}: no values are left that are new and work together")
        asked = study.ask(distributions)
        values = _values(asked.params, space)
        specs = None
        if (key := _key(asked.params)) not in seen:
            seen.add(key)
            try:
                specs = resolve(values)
            except ConfigError as error:
                refused.append({"values": values, "why": str(error)})
        if specs is None:
            storage.set_trial_state_values(asked._trial_id, TrialState.FAIL)
            continue
        attributes = study.get_trials(deepcopy=False)[asked.number].system_attrs
        slot = len(trials)
        folder = stage.folder(slot)
        trials.append(Trial(stage.first + slot, folder, values, specs, dict(attributes)))
        tries = 0
    kept = storage.get_study_system_attrs(identity)
    return StageFile(stage.name, code, trials, last, refused, dict(kept))


def frozen_trials(sweep: Sweep, selector: str, history: History) -> list[FrozenTrial]:
    """The trials so far as Optuna keeps them; those that did not go to the last rung are pruned."""
    space = sweep.space_of(selector)
    distributions = {key: distribution(dimension) for key, dimension in space.items()}
    last = max(len(sweep.halving), 1) - 1
    trials: dict[int, Trial] = {}
    values: dict[int, dict[int, float]] = {}
    for stage, content, results in history:
        for trial in content.trials:
            trials.setdefault(trial.number, trial)
        for result in results:
            values.setdefault(result.trial, {})[stage.rung] = result.value
    return [
        create_trial(
            state=TrialState.COMPLETE if last in values[number] else TrialState.PRUNED,
            value=values[number][max(values[number])],
            params=parameters(trial.values),
            distributions=distributions,
            intermediate_values=values[number],
            system_attrs=dict(trial.attributes),
        )
        for number, trial in sorted(trials.items())
    ]


def distribution(dimension: Dimension) -> BaseDistribution:
    """A dimension in Optuna's terms."""
    if dimension.choices is not None:
        return CategoricalDistribution([_parameter(choice) for choice in dimension.choices])
    low, high = dimension.range
    if dimension.whole:
        step = int(dimension.step or 1)
        return IntDistribution(int(low), int(high), log=dimension.log, step=step)
    return FloatDistribution(low, high, log=dimension.log, step=dimension.step)


def parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as Optuna keeps them, in which lists are JSON texts."""
    return {key: _parameter(value) for key, value in values.items()}


def _parameter(value: Any) -> Any:
    return json.dumps(list(value)) if isinstance(value, (list, tuple)) else value


def _values(params: Mapping[str, Any], space: Mapping[str, Dimension]) -> dict[str, Any]:
    """The reverse of `parameters`, in the order of the space."""
    found = {}
    for key, dimension in space.items():
        known = {_parameter(choice): choice for choice in dimension.choices or ()}
        found[key] = known.get(params[key], params[key])
    return found


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def _seed(sweep: Sweep, selector: str, stage: str) -> int:
    """A stream of its own for each selector and stage."""
    names = [zlib.crc32(name.encode()) for name in (selector, stage)]
    return int(np.random.SeedSequence([sweep.seed, *names]).generate_state(1)[0])


def _sampler(
    sweep: Sweep, selector: str, stage: Stage, space: Mapping[str, Dimension]
) -> BaseSampler:
    alike = sweep.sampler in ALWAYS_THE_SAME
    seed = _seed(sweep, selector, "" if alike else stage.name)
    if sweep.sampler == "grid":
        points = {key: dimension.values or [] for key, dimension in space.items()}
        grid = {key: [_parameter(value) for value in own] for key, own in points.items()}
        return optuna.samplers.GridSampler(grid, seed)
    if sweep.sampler == "qmc":
        with warnings.catch_warnings():  # "experimental" since 2022
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.QMCSampler(
                scramble=True, seed=seed, warn_asynchronous_seeding=False
            )
    if sweep.sampler == "cmaes":
        return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if sweep.sampler == "random":
        return optuna.samplers.RandomSampler(seed)
    return optuna.samplers.TPESampler(seed=seed)
