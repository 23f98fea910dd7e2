"""The endpoints that there are, of returns and of the reward model, by their names in tables.

What only asks about names needs no settings, which take longer to load than a table to be made.
"""

from collections.abc import Iterable

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


def beside(endpoint: str, evaluations: bool) -> list[str]:
    """What stands beside the main endpoint everywhere: `final`, and `evaluation` if there is one.

    They can order methods differently.
    """
    return [name for name in ("final", *[EVALUATION] * evaluations) if name != endpoint]
