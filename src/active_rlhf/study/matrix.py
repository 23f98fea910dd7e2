"""The cells of a study, environment x selector x seed, and the names of its runs."""

from collections.abc import Iterable

from active_rlhf.study.settings import Study

# Baselines ask nothing: one acts at random, one learns from the environment's own reward.
RANDOM_POLICY, TRUE_REWARD = "random_policy", "true_reward"
BASELINES = (RANDOM_POLICY, TRUE_REWARD)


def study_runs(study: Study) -> list[tuple[str, str, int]]:
    """Every run of a study as (environment, selector, seed); none for imported runs.

    In the order of training, seed by seed: a study that is stopped early has whole seeds.
    """
    left_out = excluded(study)
    return [
        (environment, selector, seed)
        for seed in study.seeds
        for environment in study.environments
        for selector in methods_trained(study)
        if (environment, selector, seed) not in left_out
    ]


def excluded(study: Study) -> dict[tuple[str, str, int], str]:
    """Runs that are neither trained nor analysed, as in `study_runs`, and the reason of each."""
    shown = study.methods or {}
    return {
        (entry.env, selector, entry.seed): entry.reason
        for entry in study.exclude
        for selector in methods_trained(study)
        if entry.method in (selector, shown.get(selector))
    }


def excluded_in(study: Study, environment: str) -> list[tuple[str, int]]:
    """The runs of one environment that are left out, as (selector, seed)."""
    return [(selector, seed) for name, selector, seed in excluded(study) if name == environment]


def environments(study: Study) -> list[str]:
    """The ids of the study's environments, trained or imported, in its order."""
    return list(study.imported or study.environments)


def selectors(study: Study) -> list[str]:
    """The names of the study's selectors, in its order."""
    return list(study.selectors)


def baselines(study: Study) -> list[str]:
    """The baselines that returns are normalised between, worst first; empty if none is trained."""
    return list(BASELINES) if study.baselines and study.environments else []


def methods_trained(study: Study) -> list[str]:
    """Everything trained in each environment: the selectors, then any baselines not among them."""
    return list(dict.fromkeys([*selectors(study), *baselines(study)]))


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
