"""A study with a sweep: what its trials are, and the study that tests what they led to.

Trials and tuned settings are variants that change selectors by themselves, so they are checked like
anything else that a study may say.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from active_rlhf.study.endpoints import unevaluated
from active_rlhf.study.loading import load_study, merge, resolve_run
from active_rlhf.study.measures import EVALUATION, FEWEST
from active_rlhf.study.messages import ConfigError, Place, Sources, show, validated
from active_rlhf.study.settings import Spec, Study
from active_rlhf.study.sweep import Dimension, Sweep, tree

# The variants of the study that tests what a sweep led to: the settings before, the best trial's,
# and those that are typical of the best tenth.
DEFAULT, BEST, TYPICAL = TESTED = ("default", "best", "typical")
TUNABLE = ("agent", "labels", "reward_model", "vae", "selection")
NOT_TUNABLE = ("labels.total", "labels.probe_pairs", "labels.probe_seed")

Values = Mapping[str, Any]
"""A value for each tuned setting, by dotted key."""


def trial_specs(study: Study, selector: str, values: Values, steps: float = 1.0) -> list[Spec]:
    """The spec of a trial's runs in each environment, with the study's first seed.

    Values that are not given are the study's own; steps: the length as a share of the study's.
    Raises ConfigError where some values do not work, alone or together.
    """
    changes = tree(values)
    selection = changes.pop("selection", {})
    data: dict[str, Any] = {"study": study.study, "seeds": study.seeds[:1], "parts": study.parts}
    data["selectors"], data["environments"] = [selector], {}
    for name, settings in study.as_dict()["environments"].items():
        own = {selector: merge(settings["selectors"].get(selector, {}), selection)}
        changed = merge(settings, changes) | {"selectors": own if any(own.values()) else {}}
        changed["total_steps"] = int(steps * settings["total_steps"])
        data["environments"][name] = changed
    loaded = load_study(study.study, data=data)
    return [resolve_run(loaded, name, selector, study.seeds[0]) for name in loaded.environments]


def own_values(study: Study, selector: str) -> Values | None:
    """The study's own values of what is tuned for a selector, None if they are not the same in all
    environments."""
    assert study.sweep is not None
    found: list[dict[str, Any]] = []
    for spec in trial_specs(study, selector, {}):
        values = {}
        for key in study.sweep.space_of(selector):
            value: Any = spec.as_dict()
            for name in key.split("."):
                value = value[name]
            values[key] = value
        found.append(values)
    return found[0] if all(values == found[0] for values in found) else None


def identity(study: Study) -> str:
    """A hash of all that a sweep's trials depend on: they are those of this study alone."""
    assert study.sweep is not None
    specs = {
        selector: [spec.as_dict() for spec in trial_specs(study, selector, {})]
        for selector in study.selectors
    }
    text = json.dumps([study.sweep.as_dict(), specs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def tuned_study(study: Study, choices: Mapping[str, Mapping[str, Values]]) -> Study:
    """The study that compares default and tuned settings on the study's own seeds.

    choices: variant -> selector -> values that differ from the default's.
    """
    variants: dict[str, Any] = {DEFAULT: {}}
    for name, of_selectors in choices.items():
        changed = {selector: tree(values) for selector, values in of_selectors.items() if values}
        if changed:
            variants[name] = {"selectors": list(changed), "by_selector": changed}
    data = study.as_dict() | {"variants": variants, "sweep": None}
    return load_study(study.study, data=data).model_copy(update={"sweep": study.sweep})


# --- checks --------------------------------------------------------------------------------------


def checked_sweep(study: Study, sources: Sources) -> Sweep:
    """The study's sweep, with what its settings tell of the space filled in.

    Raises ConfigError for a sweep that tunes on test seeds or cannot work.
    """
    sweep = study.sweep
    assert sweep is not None

    def fail(key: str, message: str, *inner: Any) -> None:
        sources.fail(("sweep", *key.split("."), *inner), message)

    if find_spec("optuna") is None:
        sources.fail(("sweep",), "needs Optuna: pip install 'active-rlhf[sweep]'")
    if study.variants and not set(study.variants) <= set(TESTED):
        sources.fail(("variants",), "a sweep compares its own variants; remove this key")
    for i, seed in enumerate(sweep.seeds):
        if seed in study.seeds:
            why = "is one of the study's seeds, on which tuned settings are tested"
            fail("seeds", f"{seed} {why}; tune on others", i)
    if sweep.objective.endpoint == EVALUATION:
        for environment, episodes in unevaluated(study)[:1]:
            why = f"`evaluation.episodes` is {episodes} in {environment}"
            fail("objective.endpoint", f"{EVALUATION} takes at least {FEWEST} episodes, but {why}")
    if len(study.environments) > 1 and not study.baselines:
        why = "returns of several environments are normalised; set `baselines: true`"
        fail("objective", why)

    for i, rung in enumerate(sweep.halving):
        for selector in study.selectors:
            try:
                trial_specs(study, selector, {}, rung.steps)
            except ConfigError as error:
                fail("halving", f"{rung.steps:g}: {str(error).partition(': ')[2]}", i, "steps")
    space = {
        key: _checked_dimension(study, key, dimension, sources)
        for key, dimension in sweep.space.items()
    }
    sweep = sweep.model_copy(update={"space": space})
    for selector in study.selectors:
        own = sweep.space_of(selector)
        if not own:
            fail("space", f"{selector} has nothing to tune; every selector is tuned alike")
        _check_sampler(sweep, selector, own, fail)
    return sweep


def _check_sampler(sweep: Sweep, selector: str, own: Mapping[str, Dimension], fail: Any) -> None:
    values = {key: dimension.values for key, dimension in own.items()}
    for key, dimension in own.items():
        if sweep.sampler == "grid" and values[key] is None:
            fail("space", "a grid needs a `step` or `choices`", key)
        if sweep.sampler in ("cmaes", "qmc") and dimension.choices is not None:
            fail("space", f"{sweep.sampler} takes numbers only; use tpe or random", key)
    if sweep.sampler == "cmaes" and len(own) < 2:
        fail("sampler", f"cmaes needs two settings or more, and {selector} has one")
    if all(found is not None for found in values.values()):
        points = math.prod(len(found or ()) for found in values.values())
        if sweep.trials > points:
            fail("trials", f"{sweep.trials} is more than the {points} choices of {selector}")


def _checked_dimension(study: Study, key: str, dimension: Dimension, sources: Sources) -> Dimension:
    """The same with `whole` filled in; every selector that has it must use the setting."""
    place: Place = ("sweep", "space", key)
    section, _, name = key.partition(".")
    if section not in TUNABLE or not name:
        known = ", ".join(f"{one}.<setting>" for one in TUNABLE)
        sources.fail(place, f"must be one of {known}")
    if key in NOT_TUNABLE:
        sources.fail(place, "decides what a run is given or measured by, so it cannot be tuned")
    if key.rpartition(".")[2] == "name":
        sources.fail(place, "names a part; list its alternatives as selectors or variants")
    for i, selector in enumerate(dimension.selectors or ()):
        if selector not in study.selectors:
            where = (*place, "selectors", i, selector)
            sources.fail_unknown(where, "selector", study.selectors)
    users = list(dimension.selectors or study.selectors)

    def fault(value: Any) -> str:
        faults = {one: _fault(study, key, value, one) for one in users}
        found = next(filter(None, faults.values()), "")
        able = [one for one in users if not faults[one]]
        if "unknown setting" in found and able:
            unable = ", ".join(one for one in users if faults[one])
            return f"{unable}: {found}; limit it: selectors: {able}"
        return found

    if dimension.choices is None and dimension.whole is None:
        low, high = dimension.range
        whole = "whole number" in fault(low + math.ceil((high - low) / 2) - 0.5)
        dimension = validated(Dimension, dimension.as_dict() | {"whole": whole}, sources, place)
    for value in dimension.ends:
        if said := fault(value):
            sources.fail(place, f"{show(value)}: {said}")
    for selector in users:
        seen = [trial_specs(study, selector, {key: value}) for value in dimension.ends[:2]]
        if seen[0] == seen[1]:
            others = [one for one in users if one != selector]
            limit = f"; limit it: selectors: {others}" if others else ""
            sources.fail(place, f"{selector} does not use it{limit}")
    return dimension


def _fault(study: Study, key: str, value: Any, selector: str) -> str:
    """What is wrong with a value of a setting, or nothing."""
    try:
        trial_specs(study, selector, {key: value})
    except ConfigError as error:
        said = str(error)
        _, unknown, rest = said.rpartition("unknown setting")
        return f"{unknown}{rest}" if unknown else said.rpartition(f"{key}: ")[2]
    return ""
