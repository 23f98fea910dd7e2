"""Study files: reading, checking, and the settings of one run.

A study is a YAML file (config/README.md lists every key). `load_study` checks all of it before
anything runs and folds package defaults, environment files, the study and command-line changes
into the settings of each environment; `resolve_run` picks one run's **spec** from them: a
JSON-able dictionary that is the run's whole identity.
"""

import json
import os
from collections.abc import Mapping
from copy import deepcopy
from functools import cache, reduce
from pathlib import Path
from typing import Any

from active_rlhf import parts
from active_rlhf.errors import InputError, line
from active_rlhf.run.schedule import first_session, held_out_per_session
from active_rlhf.study.plain_yaml import ConfigError, numbers, parse_yaml, read_yaml
from active_rlhf.study.validation import check_tree, check_unique, closest, show, unknown, validate

# Baselines ask nothing: uniformly random actions, and PPO on the environment's own reward.
RANDOM_POLICY, TRUE_REWARD = "random_policy", "true_reward"
BASELINES = (RANDOM_POLICY, TRUE_REWARD)
RANDOM_ROLLOUTS = 20  # it does not learn, so a few tell its return
EPISODE_STEPS = {"HalfCheetah-v5": 1000, "Hopper-v5": 1000, "Walker2d-v5": 1000, "Ant-v5": 1000}

# Every default of the package, as in the HalfCheetah runs of the thesis where it has a value.
DEFAULTS: dict[str, Any] = {
    "ppo": {
        "total_steps": 1_000_000,
        "rollout_steps": 2048,
        "epochs": 10,
        "minibatches": 32,
        "learning_rate": 3e-4,
        "gamma": 0.99,
        "gae_lambda": 0.95,
        "clip": 0.2,
        "entropy_coefficient": 0.0,
        "value_coefficient": 0.5,
        "max_grad_norm": 0.5,
        "anneal": True,
    },
    "labels": {
        "total": 500,
        "initial": 10,
        "sessions": 50,
        "first_after": 0.02,
        "validation_fraction": 0.2,
        "segment_length": 50,
        "oversampling": 10,
        "probe_pairs": 200,
    },
    "teacher": {"name": "oracle"},
    "reward_model": {
        "members": 3,
        "hidden": [256, 256, 256],
        "learning_rate": 8e-5,
        "weight_decay": 1e-5,
        "dropout": 0.1,
        "epochs": 5,
        "batch_size": 32,
        "max_grad_norm": 1.0,
        "precision": "bfloat16",
    },
    "vae": {
        "latent": 16,
        "channels": [32, 64],
        "learning_rate": 7e-4,
        "weight_decay": 1e-4,
        "kl_weight": 2e-4,
        "noise": 0.1,
        "segments": 4096,
        "batch_size": 256,
        "epochs": 10,
        "precision": "bfloat16",
    },
    "evaluation": {"every": 100_000, "episodes": 5},
    "baselines": False,
    "tracking": "none",
    "checkpoint_every": 60.0,
    "resources": {"mem_mb": 2000, "runtime": 60},
    "statistics": {
        "endpoint": "final",
        "further": [],
        "family": "environment",
        "alpha": 0.05,
        "bootstrap": 10000,
    },
    "figures": {"interval": "bootstrap"},
    "exclude": [],
}
PAIRING = ("pairing", "clusters")
RESERVED = ("all", "overhead")  # files of results that are about every environment
SECTIONS = ("ppo", "labels", "teacher", "reward_model", "vae", "evaluation")

# Teachers by the name a study may use, with all their settings. B-Pref's presets (Lee et al. 2021)
# are its one teacher with one irrationality switched on.
_BPREF = {"name": "bpref"}
TEACHERS: dict[str, dict[str, Any]] = {
    "oracle": {"name": "oracle"},
    "bpref": _BPREF,
    "mistake": _BPREF | {"eps_mistake": 0.1},
    "noisy": _BPREF | {"beta": 1.0},
    "skip": _BPREF | {"eps_skip": 0.1},
    "myopic": _BPREF | {"gamma": 0.9},
    "equal": _BPREF | {"eps_equal": 0.1},
    "human_simulated": {"name": "human_simulated"},
}

TEACHER_DESCRIPTIONS = {
    "oracle": "prefers the larger true return; too small a difference is equal",
    "bpref": "B-Pref's irrational teacher (Lee et al. 2021), every irrationality off",
    "mistake": "B-Pref: one answer in ten is wrong",
    "noisy": "B-Pref: answers drawn from a Boltzmann choice between the returns",
    "skip": "B-Pref: skips pairs in which neither segment is worth a look",
    "myopic": "B-Pref: later steps weigh more",
    "equal": "B-Pref: small differences are equal",
    "human_simulated": "weighs return, length and smoothness, with noise, bias and confidence",
}


def load_study(
    path: str | Path,
    overrides: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Read and check a study file.

    overrides: a nested mapping as from `parse_set`, which wins over everything else; a list of
    environments or selectors in it replaces the study's. data: the file's content if something
    else has read it already; `path` then only names it in messages and finds its neighbours.

    Returns the study with every default filled in. `environments` maps each id to its complete
    settings (SECTIONS, and `selectors`: name -> composition; `true_reward` has none); loading the
    result again changes nothing. With `imported` there are no environments, selectors and seeds,
    and its paths lead to files from the working directory.

    Raises ConfigError: `<file>: <key>: <what is wrong and what would be right>`.
    """
    label = str(path)
    study = read_yaml(path) if data is None else numbers(dict(data))
    changes = numbers(dict(overrides or {}))
    check_tree(study, label)
    check_tree(changes, label)
    places: dict[str, str] = {}
    for key in ("environments", "selectors"):
        replaces = isinstance(changes.get(key), list)
        for tree in (study, changes):
            if key in tree:
                tree[key], found = _as_mapping(tree[key], key, label)
                places |= found
        if replaces and isinstance(study.get(key), dict):
            study[key] = {name: study[key].get(name, {}) for name in changes[key]}
    study = _merge(study, changes)
    validate(study, label)
    try:
        declared = parts.load_parts(study.get("parts", ()), Path(path).parent)
        if "parts" in study:
            study["parts"] = list(dict.fromkeys(str(part.origin) for part in declared))
    except parts.PartError:
        raise
    except InputError as error:
        raise ConfigError(f"{label}: {error}") from None
    for key in ("environments", "imported"):
        for name in study.get(key, {}):
            if name in RESERVED:
                raise ConfigError(f"{label}: {key}.{name}: results use this name otherwise")
    if "seeds" in study:
        check_unique(study["seeds"], "seeds", label)
        study["seeds"] = [int(seed) for seed in study["seeds"]]

    training = [key for key in ("environments", "selectors", "seeds") if key in study]
    if "imported" in study:
        if training:
            raise ConfigError(
                f"{label}: {training[0]}: a study of imported runs trains nothing; remove this key"
            )
        study["imported"] = {
            name: _existing(file, f"{label}: imported.{name}", Path(path).parent)
            for name, file in study["imported"].items()
        }
    elif len(training) < 3:
        missing = next(k for k in ("environments", "selectors", "seeds") if k not in training)
        raise ConfigError(f"{label}: {missing}: missing (or give `imported`, to re-analyse runs)")
    else:
        study["environments"] = {
            environment: _settings(environment, study, changes, Path(path), places)
            for environment in study["environments"]
        }
    for key, default in DEFAULTS.items():
        if key != "teacher":
            study[key] = _typed(_merge(default, study.get(key, default)), default)
    study["teacher"] = _teacher(study.get("teacher", {}), f"{label}: teacher")
    _check_methods(study, label)
    return study


def resolve_run(
    study: dict[str, Any], environment: str, selector: str, seed: int
) -> dict[str, Any]:
    """The spec of one run of a loaded study; the seed need not be one of the study's.

    Raises ConfigError for an environment or selector that the study does not have.
    """
    where = f"study {study['study']}"
    known = list(study.get("environments", {}))
    if environment not in known:
        raise ConfigError(unknown(where, "environment", environment, known))
    names = dict.fromkeys([*selectors(study), *baselines(study)])
    if selector not in names:
        raise ConfigError(unknown(where, "selector", selector, names))
    validate(seed, "seed", "seed")
    settings = study["environments"][environment]
    return _spec(environment, selector, seed, settings, settings["selectors"].get(selector))


def load_spec(path: str | Path) -> dict[str, Any]:
    """Read a spec that `resolve_run` made (JSON) and check it as strictly as a study.

    Raises ConfigError naming the file and key.
    """
    label = str(path)
    try:
        spec = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{label}: cannot be read as JSON: {line(error)}") from error
    if not isinstance(spec, dict):
        raise ConfigError(f"{label}: a spec is a JSON object, not {show(spec)}")
    check_tree(spec, label)
    identity = {"environment": "name", "selector": "name", "seed": "seed"}
    for key, definition in identity.items():
        if key not in spec:
            raise ConfigError(f"{label}: {key}: missing")
        validate(spec[key], f"{label}: {key}", definition)
    try:
        parts.load_used(spec.get("parts", {}))
    except parts.PartError:
        raise
    except InputError as error:
        raise ConfigError(f"{label}: {error}") from None
    given = {key: value for key, value in spec.items() if key in SECTIONS}
    validate(given, label, "settings")
    settings: dict[str, Any] = {}
    for key in SECTIONS:
        section = given.get(key, DEFAULTS[key])
        if key == "teacher":
            settings[key] = _teacher(section, f"{label}: teacher")
        elif missing := [name for name in DEFAULTS[key] if name not in section]:
            raise ConfigError(f"{label}: {key}.{missing[0]}: missing")
        else:
            settings[key] = _typed(section, DEFAULTS[key])
    composition = spec.get("selection")
    if spec["selector"] not in BASELINES:
        composition = _complete_composition(composition, f"{label}: selection")
    checked = _spec(spec["environment"], spec["selector"], spec["seed"], settings, composition)
    for key in sorted(spec.keys() ^ checked.keys()):
        raise ConfigError(f"{label}: {key}: {'missing' if key in checked else 'unknown key'}")
    _check_run(checked, spec["environment"], label, f"{label}: environment")
    return checked


def study_runs(study: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Every run of a loaded study as (environment, selector, seed); none for imported runs."""
    return [
        (environment, selector, seed)
        for environment in study.get("environments", {})
        for selector in dict.fromkeys([*selectors(study), *baselines(study)])
        for seed in study["seeds"]
    ]


def environments(study: dict[str, Any]) -> list[str]:
    """The ids of the study's environments, trained or imported, in its order."""
    return list(study.get("imported") or study["environments"])


def selectors(study: dict[str, Any]) -> list[str]:
    """The names of the study's selectors, in its order."""
    return list(study.get("selectors", {}))


def baselines(study: dict[str, Any]) -> list[str]:
    """What returns are normalised between, worst first; empty unless the study trains them."""
    return list(BASELINES) if study["baselines"] and "environments" in study else []


def display_names(study: dict[str, Any]) -> dict[str, str] | None:
    """Method part of exp_name -> name in tables, in table order; None: all methods, by name.

    Several method parts may share a name (a method that was called differently in each
    environment); its place in the order is that of the first of them.
    """
    return study.get("methods")


def parse_set(text: str) -> dict[str, Any]:
    """`a.b=3` as `{"a": {"b": 3}}`; the value is read as YAML.

    Raises ConfigError where there is no key or no value.
    """
    key, equals, value = text.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        shown = show(text)
        raise ConfigError(f"--set {shown}: not of the form key=value, as in ppo.total_steps=20480")
    tree = parse_yaml(value, f"--set {show(text)}")
    for name in reversed(names):
        tree = {name: tree}
    return tree


def merge(base: Any, *changes: Any) -> Any:
    """Mappings merged key by key, later ones winning; anything else is replaced.

    A mapping whose `name` changes is replaced too, since its settings belong to what it named; of
    candidates the pairing stays, which goes with any of them, and has its own settings.
    """
    return reduce(_merge, changes, base)


def _merge(base: Any, change: Any) -> Any:
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


# --- the settings of one environment ------------------------------------------------------------


def _settings(
    environment: str,
    study: dict[str, Any],
    changes: dict[str, Any],
    path: Path,
    places: dict[str, str],
) -> dict[str, Any]:
    """Defaults < environment file < study < study's environment < --set, for one environment."""
    label = str(path)
    file = path.parent / "environments" / f"{environment}.yaml"
    tuned: dict[str, Any] = {}
    if file.is_file():
        tuned = read_yaml(file)
        check_tree(tuned, str(file))
        validate(tuned, str(file), "settings")
    own = study["environments"][environment]
    layers = [
        tuned,
        study,
        own,
        changes,
        changes.get("environments", {}).get(environment, {}),
    ]

    settings: dict[str, Any] = {}
    for key in SECTIONS:
        given = [layer[key] for layer in layers if key in layer]
        settings[key] = (
            _teacher(merge({}, *given), f"{label}: teacher ({environment})")
            if key == "teacher"
            else _typed(merge(DEFAULTS[key], *given), DEFAULTS[key])
        )
    place = places.get(f"environments.{environment}", f"environments.{environment}")
    asks = list(study["selectors"]) != [TRUE_REWARD]
    used = settings if asks else {"ppo": settings["ppo"]}
    _check_run(used, environment, label, f"{label}: {place}")

    from active_rlhf.selection.presets import PRESETS

    for layer, where, known in (
        (tuned, str(file), PRESETS),
        (own, f"{label}: environments.{environment}", study["selectors"]),
    ):
        for name in layer.get("selectors", {}):
            if name not in known:
                raise ConfigError(unknown(f"{where}: selectors", "selector", name, known))
    settings["selectors"] = {}
    for name in study["selectors"]:
        where = f"{label}: {places.get(f'selectors.{name}', f'selectors.{name}')}"
        change = merge({}, *(layer.get("selectors", {}).get(name, {}) for layer in layers[1:]))
        if name != TRUE_REWARD:
            composition = _composition(name, tuned.get("selectors", {}), change, where)
            settings["selectors"][name] = composition
        elif change:
            raise ConfigError(f"{where}: {TRUE_REWARD} asks nothing and so has no settings")
    return settings


def _composition(
    name: str, tuned: dict[str, Any], change: dict[str, Any], where: str
) -> dict[str, Any]:
    """Preset < environment file < study, for the selector `name`."""
    from active_rlhf.selection.presets import PRESETS

    base = change.pop("base", name if name in PRESETS else None)
    if base is None and not change:
        raise ConfigError(unknown(where, "selector", name, [*PRESETS, TRUE_REWARD]))
    if base is not None and base not in list(PRESETS):
        raise ConfigError(unknown(f"{where}.base", "selector", base, PRESETS))
    composition = merge({} if base is None else PRESETS[base], tuned.get(base, {}), change)
    return _complete_composition(composition, where)


def _spec(
    environment: str, selector: str, seed: int, settings: dict[str, Any], composition: Any
) -> dict[str, Any]:
    spec: dict[str, Any] = {"environment": environment, "selector": selector, "seed": seed}
    spec |= {key: settings[key] for key in ("ppo", "evaluation")}
    if selector == RANDOM_POLICY:
        ppo = settings["ppo"]
        spec["ppo"] = ppo | {
            "total_steps": min(ppo["total_steps"], RANDOM_ROLLOUTS * ppo["rollout_steps"])
        }
    if selector not in BASELINES:
        from active_rlhf.selection.composition import ROLES, needs_latents

        spec |= {key: settings[key] for key in ("labels", "teacher", "reward_model")}
        spec["selection"] = composition
        if needs_latents(composition):
            spec["vae"] = settings["vae"]
        named = [(role, composition[role]["name"]) for role in ROLES if composition[role]]
        named = [("teacher", settings["teacher"]["name"]), *named]
        if own := parts.used(part for part in named if part[1] != "none"):
            spec["parts"] = own
    return deepcopy(spec)


def _teacher(settings: dict[str, Any], where: str) -> dict[str, Any]:
    """A teacher's complete settings; a preset becomes the teacher it is a preset of."""
    name = settings.get("name", DEFAULTS["teacher"]["name"])
    preset = TEACHERS.get(name, {"name": name}) if isinstance(name, str) else {"name": None}
    known = [*TEACHERS, *(own for own in parts.known("teacher") if own not in TEACHERS)]
    if preset["name"] not in parts.known("teacher"):
        raise ConfigError(unknown(f"{where}.name", "teacher", name, known))
    chosen = parts.part("teacher", preset["name"])
    for key in settings:
        if key not in ("name", *chosen.settings.model_fields):
            own = sorted(chosen.settings.model_fields)
            raise ConfigError(unknown(where, f"setting of {name}", key, own))
    given = {key: value for key, value in (preset | settings).items() if key != "name"}
    try:
        complete = chosen.complete(given).model_dump(mode="json")
    except parts.PartError:
        raise
    except InputError as error:
        raise ConfigError(f"{where}.{error}") from None
    return {"name": chosen.name, **complete}


# --- checks --------------------------------------------------------------------------------------


def _check_run(settings: dict[str, Any], environment: str, label: str, place: str) -> None:
    """Refuse numbers that are fine one by one but cannot work together."""

    def fail(key: str, message: str) -> None:
        raise ConfigError(f"{label}: {key}: {message} ({environment})")

    episode = _episode_steps(environment, place)
    ppo = settings["ppo"]
    steps, rollout = ppo["total_steps"], ppo["rollout_steps"]
    if steps < rollout:
        fail("ppo.total_steps", f"{steps} is less than one rollout of {rollout} steps")
    if rollout % ppo["minibatches"]:
        fail("ppo.minibatches", f"{ppo['minibatches']} does not divide rollout_steps = {rollout}")
    if rollout == ppo["minibatches"]:
        fail("ppo.minibatches", f"{rollout} leaves one step each, which cannot be normalised")
    if "labels" not in settings:
        return

    labels = settings["labels"]
    total, initial, sessions = labels["total"], labels["initial"], labels["sessions"]
    if initial > total:
        fail("labels.initial", f"{initial} is more than labels.total = {total}")
    if sessions > total:
        fail("labels.sessions", f"{sessions} sessions cannot share labels.total = {total} queries")
    if sessions == 1 and initial != total:
        fail("labels.initial", f"one session asks all {total} queries at once, not {initial}")
    if total - initial < sessions - 1:
        fail(
            "labels.sessions",
            f"{total - initial} queries are left after the first session, "
            f"too few for {sessions - 1} more sessions",
        )
    rollouts, waits = steps // rollout, labels["first_after"]
    left = rollouts - first_session(rollouts, waits)
    if sessions > left:
        why = f", as labels.first_after = {waits} leaves of {rollouts}" if left < rollouts else ""
        fail("labels.sessions", f"{sessions} is more than the {left} rollouts{why}")
    first, later = held_out_per_session([initial, total - initial], labels["validation_fraction"])
    share = f"{labels['validation_fraction']} of {total} queries"
    if first + later == 0:
        fail("labels.validation_fraction", f"{share} leaves none for validation")
    if first == initial:
        fail("labels.validation_fraction", f"{share} leaves the first session none to train on")
    length = labels["segment_length"]
    if length >= min(episode, rollout):
        fail(
            "labels.segment_length",
            f"{length} must be less than an episode ({episode} steps) and a rollout ({rollout})",
        )
    if "vae" in settings and settings["vae"]["batch_size"] > settings["vae"]["segments"]:
        fail("vae.batch_size", f"more than vae.segments = {settings['vae']['segments']}")


@cache
def _episode_steps(environment: str, place: str) -> int:
    """Steps of an episode; asks gymnasium only for environments the package does not ship."""
    if environment in EPISODE_STEPS:
        return EPISODE_STEPS[environment]
    import gymnasium

    from active_rlhf.tasks.gym import make

    if environment not in gymnasium.registry:
        close = closest(environment, [*EPISODE_STEPS, *gymnasium.registry])
        raise ConfigError(
            f"{place}: unknown environment {environment!r}{close}; shipped: "
            f"{', '.join(EPISODE_STEPS)}; other gymnasium ids with Box spaces work too"
        )
    try:
        env, limit = make(environment)
    except Exception as error:  # whatever that environment's package raises
        raise ConfigError(f"{place}: {line(error)}") from error
    env.close()
    return limit


def _complete_composition(composition: Any, where: str) -> dict[str, Any]:
    from active_rlhf.selection.composition import validate_composition

    try:
        return validate_composition(composition)
    except parts.PartError:
        raise
    except ValueError as error:
        raise ConfigError(f"{where}: {line(error)}") from error


def _check_methods(study: dict[str, Any], label: str) -> None:
    """`methods` and `exclude` may only speak of what there is; `methods` names every selector."""
    names = display_names(study)
    trained = "imported" not in study
    if names is not None and trained:
        from active_rlhf.selection.presets import PRESETS

        for name in names:
            known = [*selectors(study), *PRESETS, TRUE_REWARD]
            if name not in known:
                raise ConfigError(unknown(f"{label}: methods", "selector", name, known))
        rest = {name: name for name in selectors(study) if name not in names}
        names = {k: v for k, v in (names | rest).items() if k in study["selectors"]}
        for name, shown in names.items():
            same = [other for other in names if names[other] == shown]
            if name != same[0]:
                raise ConfigError(f"{label}: methods.{name}: {same[0]} is called {show(shown)} too")
        study["methods"] = names
    methods = {*(names or {}), *(names or {}).values(), *selectors(study)}
    for i, entry in enumerate(study["exclude"]):
        where = f"{label}: exclude[{i}]"
        if entry["env"] not in environments(study):
            raise ConfigError(
                unknown(f"{where}.env", "environment", entry["env"], environments(study))
            )
        if methods and entry["method"] not in methods:
            raise ConfigError(
                unknown(f"{where}.method", "method", entry["method"], sorted(methods))
            )
        if trained and entry["seed"] not in study["seeds"]:
            raise ConfigError(f"{where}.seed: {entry['seed']} is not one of the study's seeds")


def _existing(file: str, where: str, folder: Path) -> str:
    candidates = [Path(file), folder / file]
    for candidate in candidates:
        if candidate.is_file():
            return os.fspath(candidate)
    notes = [path.with_name("README.md") for path in candidates]
    see = next((f"; see {note}" for note in notes if note.is_file()), "")
    raise ConfigError(f"{where}: there is no file {file}{see}")


# --- reading -------------------------------------------------------------------------------------


def _as_mapping(value: Any, key: str, label: str) -> tuple[Any, dict[str, str]]:
    """A list of names as a mapping name -> {}, and where each name stood, for messages."""
    places = {}
    if isinstance(value, list):
        for i, name in enumerate(value):
            if not isinstance(name, str):
                raise ConfigError(f"{label}: {key}[{i}]: must be a name, not {show(name)}")
            places[f"{key}.{name}"] = f"{key}[{i}]"
        check_unique(value, key, label)
        value = {name: {} for name in value}
    elif isinstance(value, Mapping):
        value = {name: {} if item is None else item for name, item in value.items()}
    return value, places


def _typed(value: Any, default: Any) -> Any:
    """Numbers in the type of their default, so that `1` and `1.0` are the same spec."""
    if isinstance(default, Mapping):
        return {key: _typed(item, default.get(key)) for key, item in value.items()}
    if isinstance(default, list) and default:
        return [_typed(item, default[0]) for item in value]
    if isinstance(default, float):
        return float(value)
    if isinstance(default, int) and not isinstance(default, bool):
        return int(value)
    return value
