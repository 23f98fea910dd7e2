"""Which endpoints a study shows: of returns, its own choice and those that stand beside it, and of
the reward model.
"""

from active_rlhf.study.matrix import asking, settings_of, variants
from active_rlhf.study.measures import FEWEST, REWARD_MODEL, beside, both_forms
from active_rlhf.study.settings import Study


def unevaluated(study: Study) -> list[tuple[str, int]]:
    """Environments where an evaluation has too few episodes for an endpoint, and how many."""
    return [
        (environment, episodes)
        for variant in variants(study)
        for environment in study.environments
        for episodes in [settings_of(study, environment, variant).evaluation.episodes]
        if episodes < FEWEST
    ]


def evaluated(study: Study) -> bool:
    """Whether all runs have the endpoint `evaluation`; imported ones have none."""
    return bool(study.environments) and not unevaluated(study)


def learned_rewards(study: Study) -> bool:
    """Whether the study trains reward models: not if its runs are imported or ask nothing."""
    return bool(study.environments) and bool(asking(study.selectors))


def reward_endpoints(study: Study) -> list[str]:
    """Every `metric_type` of the reward model, in both forms; empty if there is none."""
    chosen = study.statistics.reward_endpoints
    names = tuple(REWARD_MODEL) if chosen is None else chosen
    return both_forms(names) if learned_rewards(study) else []


def measures(study: Study) -> list[str]:
    """Every `metric_type` of returns that has tables of its own; one score a run has no area."""
    scores = {source.rows for source in (study.imported or {}).values()} == {"scores"}
    area = [] if scores else ["auc"]
    return ["endpoint", *area, *beside(study.statistics.endpoint, evaluated(study))]
