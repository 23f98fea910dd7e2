"""Which endpoints a study shows: of returns, its own choice and those that stand beside it, and of
the reward model.
"""

from collections.abc import Iterable

from active_rlhf.study.matrix import asking, settings_of, variants
from active_rlhf.study.settings import Study

EVALUATION = "evaluation"
FEWEST = 10  # episodes of an evaluation that counts

# Endpoints of the reward model after the last session, and their columns of `sessions.csv`.
REWARD_MODEL = {
    "reward_loss": "probe_loss",
    "reward_accuracy": "probe_accuracy",
    "reward_correlation": "probe_correlation",
    "reward_calibration": "probe_calibration",
}
OVER_LABELS = "_auc"  # ends the names of their means over labels
ERRORS = ("reward_loss", "reward_calibration")


def both_forms(names: Iterable[str]) -> list[str]:
    """Endpoints of the reward model after the last session, each with its mean over labels."""
    return [form for name in names for form in (name, name + OVER_LABELS)]


def of_reward_model(metric_type: str) -> bool:
    """Whether this is an endpoint of the reward model, in either form, and not of returns."""
    return metric_type.removesuffix(OVER_LABELS) in REWARD_MODEL


def lower_is_better(metric_type: str) -> bool:
    """Whether smaller values of an endpoint are better ones."""
    return metric_type.removesuffix(OVER_LABELS) in ERRORS


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
