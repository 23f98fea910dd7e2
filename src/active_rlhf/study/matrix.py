"""The cells of a study, environment x selector x variant x seed, and the names of its runs.

A method is a selector, or a selector under a variant: `<selector>@<variant>`.
"""

from collections.abc import Iterable

from active_rlhf.files import method_name, split
from active_rlhf.study.settings import EnvironmentSettings, Study, Variant

# Baselines ask nothing: one acts at random, one learns from the environment's own reward.
RANDOM_POLICY, TRUE_REWARD = "random_policy", "true_reward"
BASELINES = (RANDOM_POLICY, TRUE_REWARD)


def study_runs(study: Study) -> list[tuple[str, str, int]]:
    """Every run of a study as (environment, method, seed); none for imported runs.

    In the order of training, seed by seed: a study that is stopped early has whole seeds.
    """
    left_out = excluded(study)
    return [
        (environment, method, seed)
        for seed in study.seeds
        for environment in study.environments
        for method in methods_trained(study)
        if (environment, method, seed) not in left_out
    ]


def excluded(study: Study) -> dict[tuple[str, str, int], str]:
    """Runs that are neither trained nor analysed, as in `study_runs`, and the reason of each."""
    shown = study.methods or {}
    return {
        (entry.env, method, entry.seed): entry.reason
        for entry in study.exclude
        for method in methods_trained(study)
        if entry.method in (method, shown.get(method))
    }


def excluded_in(study: Study, environment: str) -> list[tuple[str, int]]:
    """The runs of one environment that are left out, as (method, seed)."""
    return [(method, seed) for name, method, seed in excluded(study) if name == environment]


def environments(study: Study) -> list[str]:
    """The ids of the study's environments, trained or imported, in its order."""
    return list(study.imported or study.environments)


def baselines(study: Study) -> list[str]:
    """The baselines that returns are normalised between, worst first; empty if none is trained."""
    return list(BASELINES) if study.baselines and study.environments else []


def yardsticks(study: Study) -> list[str]:
    """What returns are normalised between, worst first: baselines, or methods of imported runs."""
    named = study.references
    return [named.low, named.high] if named else baselines(study)


def variants(study: Study) -> list[str]:
    """The names of the study's variants, in its order; `""` alone where it has none."""
    return list(study.variants or [""])


def methods_of(study: Study, variant: str) -> dict[str, str]:
    """What is compared within a variant: method -> selector, in the study's order.

    A baseline asks nothing, so it is the same in all variants that do not change it by itself, and
    trained once.
    """
    found = (study.variants or {}).get(variant)
    if found is None:
        return {name: name for name in study.selectors}
    changed = changed_by(found)
    return {
        method_name(name, variant if name in changed else None): name for name in found.selectors
    }


def changed_by(variant: Variant) -> list[str]:
    """The selectors of a variant whose runs it may change: not a baseline that it does not name."""
    if not variant.environments:
        return []
    alone = variant.by_selector or {}
    return [name for name in variant.selectors if name not in BASELINES or name in alone]


def methods(study: Study) -> list[str]:
    """Everything that is compared in each environment, variant by variant."""
    return list(dict.fromkeys(name for v in variants(study) for name in methods_of(study, v)))


def methods_trained(study: Study) -> list[str]:
    """Everything trained in each environment: the methods, then any baselines not among them."""
    return list(dict.fromkeys([*methods(study), *baselines(study)]))


def settings_within(variant: Variant) -> list[dict[str, EnvironmentSettings]]:
    """The settings of a variant's environments: for all its selectors, then for single ones."""
    alone = (own.environments for own in (variant.by_selector or {}).values())
    return [variant.environments, *alone]


def settings_of(
    study: Study, environment: str, variant: str = "", selector: str = ""
) -> EnvironmentSettings:
    """The settings of an environment under a variant, as far as they hold for all selectors or, if
    it is given, for one. Raises KeyError where there is no such variant or environment."""
    if not variant or not study.variants:
        return study.environments[environment]
    found = study.variants[variant]
    alone = (found.by_selector or {}).get(selector)
    own = alone.environments if alone else found.environments
    return own.get(environment) or study.environments[environment]


def shown_methods(study: Study) -> dict[str, str] | None:
    """Method -> its name where variants stand side by side: `DUO (few)`; see `display_names`."""
    names = study.methods or {}
    if not study.variants:
        return study.methods
    return {
        method: names.get(selector, selector) + (f" ({variant})" if variant else "")
        for method in methods(study)
        for selector, variant in [split(method)]
    }


def budgets(study: Study) -> dict[str, dict[str, int]] | None:
    """Variant -> environment -> queries of a run, if variants differ in the label budget alone.

    The first session's share and the number of sessions belong to the budget.
    """
    if not study.variants or len(study.variants) < 2:
        return None
    if any(variant.by_selector for variant in study.variants.values()):
        return None
    alike = {"total": 1, "initial": 1, "sessions": 1}
    for env in study.environments:
        every = [settings_of(study, env, variant) for variant in study.variants]
        rest = [
            own.model_copy(update={"labels": own.labels.model_copy(update=alike)}) for own in every
        ]
        if any(own != rest[0] for own in rest):
            return None
        if len({own.labels.total for own in every}) < len(every):
            return None
    return {
        variant: {env: settings_of(study, env, variant).labels.total for env in study.environments}
        for variant in study.variants
    }


def asking(names: Iterable[str]) -> list[str]:
    """Those selectors that ask for labels."""
    return [name for name in names if name not in BASELINES]


def display_names(study: Study) -> dict[str, str] | None:
    """Method part of exp_name -> name in tables, in table order; None: all methods, by name.

    The order is that of the study's selectors or, of imported methods, of its `methods`. Several
    imported method parts may share a name (a method that was called differently in each
    environment); its place in the order is that of the first of them.
    """
    return study.methods
