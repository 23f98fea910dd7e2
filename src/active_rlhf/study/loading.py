"""Study files: reading, checking, and the settings of one run.

A study is a YAML file (config/README.md lists every key). `load_study` checks all of it before
anything runs and folds package defaults, environment files, the study and command-line changes
into the settings of each environment; `resolve_run` picks one run's Spec from them.
"""

import json
import os
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import reduce
from itertools import product
from pathlib import Path
from typing import Any

from active_rlhf import parts
from active_rlhf.errors import InputError, line
from active_rlhf.files import folder_name, method_name, split
from active_rlhf.run.schedule import lanes, rollout_steps, steps_of_runs
from active_rlhf.study import known
from active_rlhf.study.checks import check_run, uses_latents
from active_rlhf.study.endpoints import evaluated, learned_rewards, unevaluated
from active_rlhf.study.matrix import (
    BASELINES,
    RANDOM_POLICY,
    TRUE_REWARD,
    asking,
    baselines,
    changed_by,
    display_names,
    environments,
    methods,
    methods_trained,
    settings_of,
    settings_within,
    study_runs,
)
from active_rlhf.study.measures import EVALUATION, FEWEST
from active_rlhf.study.messages import (
    ConfigError,
    Layer,
    Place,
    Sources,
    check_known,
    check_tree,
    check_unique,
    show,
    unknown,
    validated,
)
from active_rlhf.study.reading import Document, numbers, parse_yaml, read_document
from active_rlhf.study.sections import Section, setting
from active_rlhf.study.settings import (
    OF_IMPORTED_RUNS,
    VAE,
    Choice,
    Composition,
    EnvironmentId,
    EnvironmentSettings,
    Evaluation,
    Import,
    Labels,
    Name,
    OfOneSelector,
    Spec,
    StartFrom,
    Study,
    Variant,
)
from active_rlhf.study.starting import is_own, source_for, started

RANDOM_ROLLOUTS = 20  # it does not learn, so a few are enough to know its return
PAIRING = ("pairing", "clusters")
RESERVED = ("all", "overhead")  # names of results about all environments
MODELS: dict[str, type[Section]] = {"labels": Labels, "vae": VAE, "evaluation": Evaluation}
CHOICES = ("agent", "teacher", "reward_model")
# Keys about runs that a study, one of its environments and an environment file may have.
SECTIONS = (
    *("total_steps", "agent", "start_from", "labels", "teacher", "reward_model", "vae"),
    "evaluation",
)
OF_AN_ENVIRONMENT = ("options", *SECTIONS, "selectors")
OF_A_STUDY = (*Study.model_fields, *SECTIONS)
OF_A_VARIANT = ("selection", "environments", "by_selector", *OF_AN_ENVIRONMENT)
OF_A_SELECTOR = ("base", *Composition.model_fields)


class _Names(Section):
    variants: dict[Name, Any] = setting({}, "of the study")
    environments: dict[EnvironmentId, Any] = setting({}, "of the study")
    selectors: dict[Name, Any] = setting({}, "of the study")


def load_study(
    path: str | Path,
    overrides: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    cells: Collection[tuple[str, str]] | None = None,
) -> Study:
    """Read and check a study file.

    overrides: a nested mapping as from `parse_set`, which takes precedence over everything else; a
    list of environments or selectors in it replaces the study's. data: the file's content if
    something else has read it already; `path` then only names it in messages and finds its
    neighbours. cells: the runs, as (environment, selector), to check for feasibility; all by
    default.

    Returns the study with every default filled in; loading its `as_dict()` gives an equal study.

    Raises ConfigError: `<file>:<line>: <key>: <what is wrong and what would be right>`.
    """
    label = str(path)
    document = read_document(path) if data is None else _read_elsewhere(path, data)
    study, changes = document.data, numbers(dict(overrides or {}))
    layers = [Layer(label, study, document.lines), Layer(label, changes)]
    for layer in layers:
        check_tree(layer.tree, Sources(label, [layer]))
    study, changes, layers = _with_mappings(layers)
    sources = Sources(label, layers)
    merged = merge(study, changes)
    _check_keys(merged, OF_A_STUDY, sources)
    for key in ("environments", "imported"):
        for name in merged.get(key) or {}:
            if name in RESERVED:
                sources.fail((key, name), "results use this name for something else")
    training = [key for key in ("environments", "selectors", "seeds") if key in merged]
    for key in training:
        if not merged[key]:
            sources.fail((key,), "must not be empty")
    if "imported" in merged:
        for key in [*training, *merged]:
            if key not in OF_IMPORTED_RUNS:
                sources.fail((key,), "a study of imported runs trains nothing; remove this key")
    if "study" in merged and "imported" not in merged and len(training) < 3:
        missing = next(k for k in ("environments", "selectors", "seeds") if k not in training)
        raise ConfigError(f"{label}: {missing}: missing (or give `imported`, to re-analyse runs)")

    own_parts = _load_parts(merged.get("parts"), sources, Path(path).parent)
    listed = list(merged.get("selectors", {}))
    named = {key: merged[key] for key in ("environments", "selectors") if key in merged}
    validated(_Names, named, sources)
    _settings({key: merged[key] for key in SECTIONS if key in merged}, sources)
    complete = {key: value for key, value in merged.items() if key in Study.model_fields}
    replaced: dict[str, Any] = {"environments": {}, "selectors": listed, "variants": None}
    head = validated(Study, complete | replaced, sources)
    check_unique(head.seeds, sources, ("seeds",))
    found = {
        name: _environment(name, merged, Path(path), layers)
        for name in merged.get("environments", {})
    }
    loaded = head.model_copy(
        update={
            "environments": {name: settings for name, (settings, _) in found.items()},
            "variants": _variants(merged, Path(path), layers, found),
            "parts": own_parts,
            "imported": _imported(head.imported, sources, Path(path).parent),
            "methods": _methods(head, sources),
        }
    )
    _check_exclusions(loaded, sources)
    _check_contrasts(loaded, sources)
    _check_endpoints(loaded, sources)
    _check_ends(loaded, sources)
    every = [(e, method) for e in found for method in methods_trained(loaded)]
    wanted = every if cells is None else cells
    planned = set(study_runs(loaded)) if cells is None else ()
    for environment, (_, own_sources) in found.items():
        alike: dict[tuple[str, str], list[str]] = {}  # selectors that share their settings
        for selector, variant in (split(m) for e, m in wanted if e == environment):
            of_variant = (loaded.variants or {}).get(variant)
            alone = of_variant is not None and selector in (of_variant.by_selector or {})
            alike.setdefault((variant, selector if alone else ""), []).append(selector)
        for (variant, alone_for), names in alike.items():
            settings = settings_of(loaded, environment, variant, alone_for)
            found_ones = (_selected(settings, name) for name in names)
            used = [composition for composition in found_ones if composition is not None]
            stronger = _variant_layers(layers, environment, variant, alone_for) if variant else []
            where = replace(own_sources, layers=[*own_sources.layers, *stronger])
            try:
                check_run(environment, settings, used, bool(asking(names)), where)
                for name, seed in product(names, loaded.seeds):
                    if (environment, method_name(name, variant), seed) in planned:
                        _check_start(loaded, environment, settings, name, seed, where)
            except ConfigError as error:
                said = f" (variant {variant})" if variant else ""
                raise ConfigError(f"{error}{said}") from None
    _check_variants(loaded, sources)
    if loaded.sweep is None or cells is not None:
        return loaded
    from active_rlhf.study.tuning import checked_sweep  # which loads studies too

    return loaded.model_copy(update={"sweep": checked_sweep(loaded, sources)})


def stored_study(config: Mapping[str, Any]) -> Study:
    """The study from what `Study.as_dict` gave, with its own parts loaded."""
    study = Study(**config)
    parts.load_parts(study.parts or ())
    return study


def resolve_run(study: Study, environment: str, method: str, seed: int) -> Spec:
    """The spec of one run of a loaded study.

    method: `<selector>` or `<selector>@<variant>`. The seed need not be one of the study's, and the
    selector may be any preset or baseline.

    Raises ConfigError for an environment that is not in the study, or an unknown selector or
    variant.
    """
    where = f"study {study.study}"
    if environment not in study.environments:
        raise ConfigError(unknown(where, "environment", environment, study.environments))
    selector, variant = split(method)
    if variant and variant not in (study.variants or {}):
        raise ConfigError(unknown(where, "variant", variant, study.variants or ["none"]))
    settings = _settings_of_cell(study, environment, variant, selector)
    composition = _selected(settings, selector)
    if composition is None and selector not in BASELINES:
        from active_rlhf.selection.presets import PRESETS

        names = dict.fromkeys([*study.selectors, *PRESETS, *BASELINES])
        raise ConfigError(unknown(where, "selector", selector, names))
    sources = Sources(where, [])
    spec = _spec(environment, selector, seed, settings, composition, sources)
    return _started(spec.model_copy(update={"variant": variant or None}), sources)


def load_spec(path: str | Path) -> Spec:
    """Read a spec that `Spec.as_dict` gave (JSON) and check it as strictly as a study.

    Raises ConfigError naming the file and key.
    """
    label = str(path)
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{label}: cannot be read as JSON: {line(error)}") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{label}: a spec is a JSON object, not {show(given)}")
    sources = Sources(label, [Layer(label, given)])
    check_tree(given, sources)
    _check_keys(given, Spec.model_fields, sources)
    spec = validated(Spec, given, sources)
    try:
        parts.load_used(spec.parts or {})
    except parts.PartError:
        raise
    except InputError as error:
        sources.fail(("parts",), str(error).removeprefix("parts: "))
    sections: dict[str, Any] = {"total_steps": spec.total_steps, "options": spec.options}
    sections["start_from"] = spec.start_from and spec.start_from.run
    for key in ("labels", "vae", "evaluation"):
        if given.get(key) is not None:
            _check_complete(given[key], list(MODELS[key].model_fields), sources, (key,))
            sections[key] = getattr(spec, key)
    for key in CHOICES:
        choice = _choice(key, given.get(key) or {}, sources)
        if given.get(key) is not None:
            _check_complete(given[key], choice.model_dump(), sources, (key,))
        sections[key] = choice
    settings = EnvironmentSettings(**sections)
    composition: Composition | None = None
    if spec.selector not in BASELINES:
        composition = _composition(given.get("selection"), sources, ("selection",))
    checked = _spec(spec.environment, spec.selector, spec.seed, settings, composition, sources)
    checked = checked.model_copy(update={"variant": spec.variant})
    for key in sorted(spec.as_dict().keys() ^ checked.as_dict().keys()):
        sources.fail((key,), "missing" if getattr(checked, key) is not None else "unknown key")
    used = [composition] if composition else []
    check_run(spec.environment, settings, used, bool(used), sources)
    return _started(checked.model_copy(update={"start_from": spec.start_from}), sources)


def parse_set(text: str) -> dict[str, Any]:
    """`a.b=3` as `{"a": {"b": 3}}`; the value is read as YAML.

    Raises ConfigError if there is no key or no value.
    """
    key, equals, value = text.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        shown = show(text)
        raise ConfigError(f"--set {shown}: not of the form key=value, as in total_steps=20480")
    tree = parse_yaml(value, f"--set {show(text)}")
    for name in reversed(names):
        tree = {name: tree}
    assert isinstance(tree, dict)
    return tree


def merge(base: Any, *changes: Any) -> Any:
    """Mappings merged key by key, later ones winning; anything else is replaced.

    If the `name` in a mapping changes, the mapping is replaced too, since its settings belong to
    the part it named. Candidates keep their pairing, which works with any of them and has its own
    settings.
    """
    return reduce(_merge, changes, base)


def _merge(base: Any, change: Any) -> Any:
    if isinstance(base, str) and isinstance(change, Mapping):
        base = {"name": base}  # a part may be given by its name alone
    if not isinstance(base, Mapping) or not isinstance(change, Mapping):
        return deepcopy(change)
    merged = deepcopy(dict(base))
    if isinstance(merged.get("name"), str) and change.get("name", merged["name"]) != merged["name"]:
        merged = {key: merged[key] for key in PAIRING if key in merged}
    if "pairing" in merged and change.get("pairing", merged["pairing"]) != merged["pairing"]:
        merged.pop("clusters", None)
    for key, value in change.items():
        merged[key] = _merge(merged.get(key), value)
    return merged


# --- reading -------------------------------------------------------------------------------------


def _read_elsewhere(path: str | Path, data: Mapping[str, Any]) -> Document:
    """Data that another parser read, with line numbers if the file still exists."""
    lines: Mapping[Place, int] = {}
    if Path(path).is_file():
        try:
            lines = read_document(path).lines
        except ConfigError:  # it has changed since it was read
            lines = {}
    return Document(numbers(dict(data)), lines)


def _with_mappings(layers: list[Layer]) -> tuple[dict[str, Any], dict[str, Any], list[Layer]]:
    """Study and changes, with lists of environments and selectors as mappings name -> {}."""
    study, changes = (dict(layer.tree) for layer in layers)
    found = []
    for tree, layer in zip((study, changes), layers, strict=True):
        listed: dict[Place, Place] = {}
        sources = Sources(layer.label, [layer])
        for key in ("environments", "selectors"):
            value = tree.get(key)
            if isinstance(value, list):
                for i, name in enumerate(value):
                    if not isinstance(name, str):
                        sources.fail((key, i), f"must be a name, not {show(name)}")
                    listed[key, name] = (key, i)
                check_unique(value, sources, (key,))
                if tree is changes and isinstance(study.get(key), dict):
                    study[key] = {name: study[key].get(name, {}) for name in value}
                tree[key] = {name: {} for name in value}
            elif isinstance(value, Mapping):
                tree[key] = {name: {} if item is None else item for name, item in value.items()}
                for name, item in tree[key].items():
                    if not isinstance(item, Mapping):
                        sources.fail((key, name), f"must be a mapping, not {show(item)}")
            elif key in tree:
                sources.fail((key,), f"must be a list or a mapping, not {show(value)}")
        if isinstance(variants := tree.get("variants"), Mapping):
            tree["variants"] = {
                name: _with_selectors(own, sources, ("variants", name, "selectors"))
                for name, own in variants.items()
            }
        found.append(replace(layer, tree=tree, listed=listed))
    return study, changes, found


def _with_selectors(variant: Any, sources: Sources, place: Place) -> Any:
    """A variant with a list of selectors as a mapping name -> {}; nothing as `{}`."""
    if not isinstance(variant, Mapping):
        return {} if variant is None else variant
    listed = variant.get("selectors")
    if isinstance(listed, list) and all(isinstance(name, str) for name in listed):
        check_unique(listed, sources, place)
        return {**variant, "selectors": {name: {} for name in listed}}
    return variant


def _check_keys(tree: Mapping[str, Any], known_keys: Any, sources: Sources) -> None:
    """Refuse unknown keys of a study, an environment or a spec, and say what replaced `ppo`."""
    if "ppo" in tree:
        now = "is called `agent` now, and total_steps is a separate key"
        sources.fail(("ppo",), now)
    check_known(tree, known_keys, sources)


def _check_complete(
    given: Mapping[str, Any], wanted: Collection[str], sources: Sources, place: Place
) -> None:
    for key in wanted:
        if key not in given:
            sources.fail((*place, key), "missing")


def _load_parts(paths: Any, sources: Sources, folder: Path) -> tuple[str, ...] | None:
    """Load a user's own parts, forget all others; returns paths from the working directory."""
    if paths is not None and not (
        isinstance(paths, list) and all(isinstance(path, str) for path in paths)
    ):
        sources.fail(("parts",), f"must be a list of files, not {show(paths)}")
    try:
        found = tuple(parts.place(path, folder) for path in paths or ())
        parts.load_parts(found)
    except parts.PartError:
        raise
    except InputError as error:
        sources.fail(("parts",), line(error).removeprefix("parts: "))
    return tuple(found)


def _imported(
    given: dict[str, Import] | None, sources: Sources, folder: Path
) -> dict[str, Import] | None:
    """What is imported, with paths from the working directory and all that the files tell."""
    if given is None:
        return None
    from active_rlhf.results.imports import described, matching

    found = {}
    for name, source in given.items():
        place = ("imported", name)
        try:
            paths = []
            for file in source.files:
                candidates = [os.path.normpath(file), os.path.normpath(folder / file)]
                there = next((path for path in candidates if matching(path, name)), "")
                if not there:
                    notes = [Path(path).with_name("README.md") for path in candidates]
                    see = next((f"; see {note}" for note in notes if note.is_file()), "")
                    sources.fail(place, f"there is no file {file}{see}")
                paths.append(there)
            told = described(name, source.as_dict() | {"files": paths})
        except ConfigError:
            raise
        except InputError as error:
            sources.fail(place, line(error))
        found[name] = validated(Import, told, sources, place)
    return found


# --- the settings of one environment ------------------------------------------------------------


def environment_file(study: Path, environment: str) -> Path:
    """Where the values tuned for an environment are: `environments/<id>.yaml` beside the study, or
    beside the folder `sweeps` that it is in."""
    folder = study.parent.parent if study.parent.name == "sweeps" else study.parent
    return folder / "environments" / f"{folder_name(environment)}.yaml"


def _environment(
    environment: str,
    study: Mapping[str, Any],
    path: Path,
    layers: list[Layer],
    variant: str | None = None,
    alone_for: str = "",
) -> tuple[EnvironmentSettings, Sources]:
    """Defaults < environment file < study < study's environment < --set < variant < its changes for
    one selector alone, for one environment."""
    from active_rlhf.selection.presets import PRESETS

    label = str(path)
    file = environment_file(path, environment)
    document = read_document(file) if file.is_file() else Document({})
    tuned = Layer(str(file), document.data, document.lines)
    check_tree(tuned.tree, Sources(str(file), [tuned]))
    _check_keys(tuned.tree, OF_AN_ENVIRONMENT, Sources(str(file), [tuned]))
    whole, changed = layers
    inner = [layer.under("environments", environment) for layer in layers]
    ordered = [tuned, whole, inner[0], changed, inner[1]]
    if variant is not None:
        inner = _variant_layers(layers, environment, variant, alone_for)
        ordered += inner
    sources = Sources(label, ordered)
    allowed_keys = OF_AN_ENVIRONMENT if variant is None else OF_A_VARIANT
    for layer in inner:
        _check_keys(layer.tree, allowed_keys, Sources(label, [layer]))

    given = {
        key: merge({}, *(layer.tree[key] for layer in ordered if key in layer.tree))
        for key in ("options", *SECTIONS)
        if any(key in layer.tree for layer in ordered)
    }
    settings = _settings(given, sources)
    names = [name for name in study["selectors"] if name != TRUE_REWARD]
    for layer, allowed in (
        (tuned, list(PRESETS)),
        *((layer, list(dict.fromkeys([*study["selectors"], *PRESETS]))) for layer in inner),
    ):
        for name in _selectors_of(layer):
            if name not in allowed:
                Sources(label, [layer]).fail_unknown(("selectors", name), "selector", allowed)
        names += [name for name in _selectors_of(layer) if name != TRUE_REWARD]
    if alone_for:
        names = [name for name in names if name == alone_for]
    compositions = {}
    everywhere = merge({}, *(layer.tree.get("selection", {}) for layer in inner if variant))
    for name in dict.fromkeys(names):
        place = ("selectors", name)
        change = merge({}, *(_selectors_of(layer).get(name, {}) for layer in ordered[1:]))
        base = change.pop("base", name if name in PRESETS else None)
        if base is None and not change:
            sources.fail_unknown(place, "selector", [*PRESETS, TRUE_REWARD])
        if base is not None and base not in list(PRESETS):
            where = sources.where((*place, "base"))
            raise ConfigError(unknown(where, "selector", base, PRESETS))
        preset = {} if base is None else PRESETS[base]
        whole_one = merge(preset, _selectors_of(tuned).get(base, {}), change, everywhere)
        compositions[name] = _composition(whole_one, sources, place)
    return settings.model_copy(update={"selectors": compositions}), sources


def _selectors_of(layer: Layer) -> dict[str, Any]:
    """The changes to selectors in a layer, by name."""
    sources = Sources(layer.label, [layer])
    given = layer.tree.get("selectors", {})
    if not isinstance(given, Mapping):
        sources.fail(("selectors",), f"must be a mapping, not {show(given)}")
    for name, change in given.items():
        if change is not None and not isinstance(change, Mapping):
            sources.fail(("selectors", name), f"must be a mapping, not {show(change)}")
        if name in BASELINES and change:
            sources.fail(("selectors", name), f"{name} asks nothing and so has no settings")
        check_known(change or {}, OF_A_SELECTOR, sources, ("selectors", name))
    return {name: change or {} for name, change in given.items()}


def _settings(given: Mapping[str, Any], sources: Sources) -> EnvironmentSettings:
    """All sections, completed from the keys that were given."""
    choices = {key: _choice(key, given.get(key, {}), sources) for key in CHOICES}
    return validated(EnvironmentSettings, {**given, **choices}, sources)


def _choice(kind: str, given: Any, sources: Sources) -> Choice:
    """A part with its complete settings; a preset becomes the part it is based on."""
    given = {"name": given} if isinstance(given, str) else given
    if not isinstance(given, Mapping):
        sources.fail((kind,), f"must be a name or a mapping with a name, not {show(given)}")
    name, names = given.get("name", known.DEFAULT[kind]), known.names(kind)
    if name not in names:
        where = sources.where((kind, "name"))
        raise ConfigError(unknown(where, kind.replace("_", " "), name, names))
    name, preset = known.resolved(kind, name)
    own = merge(preset, {key: value for key, value in given.items() if key != "name"})
    model = known.settings_of(kind, name)
    settings = validated(model, own, sources, (kind,), f"setting of {name}")
    if isinstance(settings, Section):
        try:
            settings = settings.found_from(Path(sources.label).parent)
        except InputError as error:
            key, _, message = line(error).partition(": ")
            sources.fail((kind, key), message)
    return Choice(name=name, **settings.model_dump(mode="json", by_alias=True))


def _composition(given: Any, sources: Sources, place: Place) -> Composition:
    """A composition with every setting explicit."""
    from active_rlhf.selection.composition import validate_composition

    try:
        complete = validate_composition(given)
    except parts.PartError:
        raise
    except InputError as error:
        key, colon, message = line(error).partition(": ")
        if colon and " " not in key:
            sources.fail((*place, *key.split(".")), message)
        sources.fail(place, line(error))
    return Composition(**complete)


def _selected(settings: EnvironmentSettings, selector: str) -> Composition | None:
    """The composition of one of the study's selectors or of any preset; None for other names."""
    from active_rlhf.selection.presets import PRESETS

    if selector in settings.selectors or selector not in PRESETS:
        return settings.selectors.get(selector)
    return _composition(PRESETS[selector], Sources(selector, []), ())


def _settings_of_cell(
    study: Study, environment: str, variant: str, selector: str
) -> EnvironmentSettings:
    """What the study sets for a cell; a random policy has no more steps than tell its return."""
    settings = settings_of(study, environment, variant, selector)
    if selector != RANDOM_POLICY:
        return settings
    few = RANDOM_ROLLOUTS * rollout_steps(settings.agent) * lanes(settings.agent)
    return settings.model_copy(update={"total_steps": min(settings.total_steps, few)})


def _spec(
    environment: str,
    selector: str,
    seed: int,
    settings: EnvironmentSettings,
    composition: Composition | None,
    sources: Sources,
) -> Spec:
    """The spec of a run: just the settings that it uses."""
    given: dict[str, Any] = {"environment": environment, "selector": selector, "seed": seed}
    given |= {"total_steps": settings.total_steps, "options": settings.options or None}
    agent = settings.agent
    if selector == RANDOM_POLICY:
        kept = {"name": "uniform", "rollout_steps": rollout_steps(agent)}
        agent = Choice.model_validate(kept)
    elif settings.start_from:
        given["start_from"] = StartFrom(run=settings.start_from)
    given |= {"agent": agent, "evaluation": settings.evaluation}
    if composition is not None:
        given |= {"labels": settings.labels, "teacher": settings.teacher}
        given |= {"reward_model": settings.reward_model, "selection": composition}
        if uses_latents(composition):
            given["vae"] = settings.vae
    spec = validated(Spec, given, sources)
    return spec.model_copy(update={"parts": parts.used(spec.named_parts()) or None})


def _started(spec: Spec, sources: Sources) -> Spec:
    """The spec with the hash of the policy that it starts from."""
    try:
        return started(spec)
    except InputError as error:
        sources.fail(("start_from",), line(error))


def _check_start(
    study: Study,
    environment: str,
    settings: EnvironmentSettings,
    selector: str,
    seed: int,
    sources: Sources,
) -> None:
    """Refuse to start where there is nothing to start from."""
    run = settings.start_from
    if run is None or selector == RANDOM_POLICY:
        return
    if is_own(run, study.study):
        why = "is of this study itself, whose runs do not wait for each other"
        sources.fail(("start_from",), f"{show(run)} {why}; name a run of another study")
    try:
        source_for(run, environment, selector, seed, settings.agent)
    except InputError as error:
        sources.fail(("start_from",), line(error))


# --- variants ------------------------------------------------------------------------------------


def _variant_layers(
    layers: list[Layer], environment: str, variant: str, selector: str
) -> list[Layer]:
    """What study and changes say of a variant, then of it in one environment; then the same for a
    selector alone, if one is named."""
    return [
        layer.under("variants", variant, *alone, *more)
        for alone in ((), ("by_selector", selector))[: 2 if selector else 1]
        for layer in layers
        for more in ((), ("environments", environment))
    ]


def _variants(
    study: Mapping[str, Any],
    path: Path,
    layers: list[Layer],
    found: Mapping[str, tuple[EnvironmentSettings, Sources]],
) -> dict[str, Variant] | None:
    """Each variant with its selectors, and its complete settings in every environment."""
    sources = Sources(str(path), layers)
    given = study.get("variants")
    if given is None:
        return None
    if not isinstance(given, Mapping) or not given:
        sources.fail(("variants",), f"must be a mapping of names to changes, not {show(given)}")
    if not study.get("environments"):
        sources.fail(("variants",), "a study of imported runs trains nothing; remove this key")
    variants = {}
    validated(_Names, {"variants": given}, sources)
    for name, changes in given.items():
        place = ("variants", name)
        if not isinstance(changes, Mapping):
            sources.fail(place, f"must be a mapping of changes, not {show(changes)}")
        check_known(changes, OF_A_VARIANT, sources, place)
        known_environments = changes.get("environments", {})
        for environment in known_environments if isinstance(known_environments, Mapping) else ():
            if environment not in found:
                sources.fail_unknown((*place, "environments", environment), "environment", found)
        chosen = changes.get("selectors") or study["selectors"]
        for selector in chosen:
            if selector not in study["selectors"]:
                known_ones = study["selectors"]
                sources.fail_unknown((*place, "selectors", selector), "selector", known_ones)
        alone = _by_selector(changes.get("by_selector"), chosen, found, sources, place)
        changed: dict[str, dict[str, EnvironmentSettings]] = {"": {}}
        sections = [changes[key] for key in changes if key != "selectors"]
        if any(sections) or any(changes.get("selectors", {}).values()):
            changed = {
                one: {
                    environment: _environment(environment, study, path, layers, name, one)[0]
                    for environment in found
                }
                for one in ("", *alone)
            }
        by_selector = {one: OfOneSelector(environments=changed[one]) for one in alone}
        variants[name] = Variant(
            selectors=tuple(chosen),
            environments=changed[""],
            by_selector=by_selector or None,
        )
    return variants


def _by_selector(
    given: Any, chosen: Collection[str], found: Collection[str], sources: Sources, place: Place
) -> list[str]:
    """The selectors that a variant changes by themselves."""
    place = (*place, "by_selector")
    if given is None:
        return []
    if not isinstance(given, Mapping):
        sources.fail(place, f"must be a mapping of selectors to changes, not {show(given)}")
    for selector, changes in given.items():
        if selector not in chosen:
            sources.fail_unknown((*place, selector), "selector of the variant", chosen)
        if not isinstance(changes, Mapping) or not changes:
            sources.fail((*place, selector), f"must be a mapping of changes, not {show(changes)}")
        if selector == RANDOM_POLICY:
            sources.fail((*place, selector), "it learns nothing and so has nothing to change")
        allowed = [key for key in OF_A_VARIANT if key not in ("selectors", "by_selector")]
        check_known(changes, allowed, sources, (*place, selector))
        environments_of = changes.get("environments", {})
        for environment in environments_of if isinstance(environments_of, Mapping) else ():
            if environment not in found:
                where = (*place, selector, "environments", environment)
                sources.fail_unknown(where, "environment", found)
    return list(given)


def _check_variants(study: Study, sources: Sources) -> None:
    """Refuse variants that change nothing, are equal, or change how long runs are."""
    base = [name for name, variant in (study.variants or {}).items() if not variant.environments]
    for name in base[1:]:
        sources.fail(("variants", name), f"changes nothing, as {base[0]} does")
    seen: dict[str, str] = {}
    for name, variant in (study.variants or {}).items():
        if not variant.environments:
            continue
        place = ("variants", name)
        every = settings_within(variant)
        for environment, steps in [pair for own in every for pair in steps_of_runs(own).items()]:
            asked = steps_of_runs(study.environments)[environment]
            if steps != asked:
                why = "whose runs are compared; variants cannot change it"
                sources.fail(
                    (*place, "total_steps"),
                    f"makes runs of {environment} {steps} steps long, not {asked} as in the study, "
                    f"{why}",
                )
        for selector, own in (variant.by_selector or {}).items():
            for environment, settings in own.environments.items():
                given = _given(variant.environments[environment])
                for key, value in _given(settings).items():
                    if value != given[key]:
                        sources.fail(
                            (*place, "by_selector", selector, *key.split(".")),
                            "a variant gives all its selectors the same, or they could not be "
                            "compared",
                        )
        same = [
            selector
            for selector in changed_by(variant)
            if all(
                _spec_under(study, environment, selector, name)
                == _spec_under(study, environment, selector, "")
                for environment in study.environments
            )
        ]
        if len(same) == len(changed_by(variant)):
            sources.fail(place, "changes nothing; `{}` is the study without changes")
        if same:
            others = [one for one in variant.selectors if one not in same]
            sources.fail(
                place, f"changes nothing for {', '.join(same)}; limit it: selectors: {others}"
            )
        whole = json.dumps(variant.as_dict(), sort_keys=True)
        if whole in seen:
            sources.fail(place, f"is the same as {seen[whole]}")
        seen[whole] = name


def _given(settings: EnvironmentSettings) -> dict[str, Any]:
    """What decides what a run is given, and what it is measured by."""
    labels = settings.labels
    return {
        "total_steps": settings.total_steps,
        "options": settings.options,
        "start_from": settings.start_from,
        "teacher": settings.teacher,
        "evaluation": settings.evaluation,
        **{f"labels.{key}": getattr(labels, key) for key in ("total", "probe_pairs", "probe_seed")},
    }


def _spec_under(study: Study, environment: str, selector: str, variant: str) -> Spec:
    """A cell's spec without the variant's name."""
    settings = _settings_of_cell(study, environment, variant, selector)
    composition = _selected(settings, selector)
    return _spec(environment, selector, 0, settings, composition, Sources(study.study, []))


# --- methods and exclusions ----------------------------------------------------------------------


def _methods(study: Study, sources: Sources) -> dict[str, str] | None:
    """Selectors and their names in tables, in the study's order; as given for imported runs."""
    if study.imported is not None:
        return study.methods
    from active_rlhf.selection.presets import PRESETS

    given = study.methods or {}
    for name in given:
        allowed = [*study.selectors, *PRESETS, TRUE_REWARD]
        if name not in allowed:
            sources.fail_unknown(("methods", name), "selector", dict.fromkeys(allowed))
    methods = {name: given.get(name, name) for name in study.selectors}
    for name, shown in methods.items():
        same = [other for other in methods if methods[other] == shown]
        if name != same[0]:
            sources.fail(("methods", name), f"{same[0]} is called {show(shown)} too")
    return methods


def _check_contrasts(study: Study, sources: Sources) -> None:
    """The method that the others are compared with must be there."""
    contrasts, names = study.statistics.contrasts, display_names(study) or {}
    if contrasts is None:
        return
    allowed = [*names, *names.values()]
    if allowed and contrasts.against not in allowed:
        where = sources.where(("statistics", "contrasts", "against"))
        raise ConfigError(unknown(where, "method", contrasts.against, dict.fromkeys(allowed)))


def _check_endpoints(study: Study, sources: Sources) -> None:
    """The endpoint `evaluation` needs evaluations of enough episodes, others a reward model."""
    chosen = study.statistics
    if chosen.reward_endpoints and not learned_rewards(study):
        why = "imported runs have" if study.imported is not None else "the study's selectors learn"
        sources.fail(("statistics", "reward_endpoints"), f"{why} no reward model; remove this key")
    for key, names in (("endpoint", (chosen.endpoint,)), ("further", chosen.further)):
        if EVALUATION not in names or evaluated(study):
            continue
        where = ("statistics", key)
        if study.imported is not None:
            sources.fail(where, f"{EVALUATION}: imported runs have no evaluations")
        for environment, episodes in unevaluated(study)[:1]:
            sources.fail(
                where,
                f"{EVALUATION} takes at least {FEWEST} episodes, but `evaluation.episodes` is "
                f"{episodes} in {environment}",
            )


def _check_ends(study: Study, sources: Sources) -> None:
    """What counts as 0 and 1 of imported runs, and whether runs are paired."""
    if study.imported is None:
        for key in ("scale", "references"):
            if getattr(study, key) is not None:
                sources.fail((key,), "only for imported runs; `baselines: true` trains these")
        if study.statistics.design == "unpaired":
            why = "only for imported runs: all methods are trained with the same seeds"
            sources.fail(("statistics", "design"), why)
        return
    if study.scale and study.references:
        sources.fail(("references",), "`scale` says already what counts as 0 and 1")
    for name, ends in (study.scale or {}).items():
        if name not in study.imported:
            sources.fail_unknown(("scale", name), "environment", study.imported)
        if ends.low >= ends.high:
            sources.fail(("scale", name, "low"), f"{ends.low:g} is not below high = {ends.high:g}")
    if study.references and study.references.low == study.references.high:
        sources.fail(("references", "high"), "is the same method as `low`")


def _check_exclusions(study: Study, sources: Sources) -> None:
    """Entries of `exclude` must name existing environments, methods and seeds."""
    names = display_names(study) or {}
    allowed_names = {*names, *names.values(), *methods_trained(study)}
    for i, entry in enumerate(study.exclude):
        for key, kind, allowed in (
            ("env", "environment", environments(study)),
            ("method", "method", sorted(allowed_names)),
        ):
            name = getattr(entry, key)
            if allowed and name not in allowed:
                where = sources.where(("exclude", i, key))
                raise ConfigError(unknown(where, kind, name, allowed))
        if study.seeds and entry.seed not in study.seeds:
            sources.fail(("exclude", i, "seed"), f"{entry.seed} is not one of the study's seeds")
    trained = {run[:2] for run in study_runs(study)}
    for environment in study.environments:
        if not any((environment, name) in trained for name in methods(study)):
            sources.fail(("exclude",), f"leaves no run of {environment}; remove the environment")
        for name in baselines(study):
            if (environment, name) not in trained:
                why = f"leaves no run of {name} in {environment}, which `baselines` need"
                sources.fail(("exclude",), why)
