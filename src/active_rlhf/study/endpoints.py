"""Which endpoints a study shows: its own choice, and those that stand beside it."""

from active_rlhf.study.matrix import settings_of, variants
from active_rlhf.study.settings import Study

EVALUATION = "evaluation"
FEWEST = 10  # episodes of an evaluation that counts


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


def beside(endpoint: str, evaluations: bool) -> list[str]:
    """What stands beside the main endpoint everywhere: `final`, and `evaluation` if there is one.

    They can order methods differently.
    """
    return [name for name in ("final", *[EVALUATION] * evaluations) if name != endpoint]


def measures(study: Study) -> list[str]:
    """Every `metric_type` that has tables of its own."""
    return ["endpoint", "auc", *beside(study.statistics.endpoint, evaluated(study))]
