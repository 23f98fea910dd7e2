"""A simulated human: weighs several criteria, with noise and bias, and says how sure it is."""

from typing import Any

import numpy as np
from pydantic import create_model

from active_rlhf.parts import teacher
from active_rlhf.study.sections import Section, setting
from active_rlhf.teachers import Answers, History, Question

_WEIGHTS: dict[str, Any] = {
    "return": (
        float,
        setting(
            1.0,
            "weight of the true return, in units of the mean difference between uniformly drawn "
            "pairs",
        ),
    ),
    "length": (float, setting(0.5, "weight of the number of steps, as a share of the longest")),
    "smoothness": (float, setting(0.2, "weight of minus the mean squared change of action")),
}
Weights: Any = create_model("Weights", __base__=Section, **_WEIGHTS)


class HumanSettings(Section):
    """What it weighs, and how clearly it sees."""

    weights: Weights = setting(
        Weights(), "weights of return, length and smoothness", unit="weights"
    )
    noise: float = setting(
        0.25, "standard deviation of the noise in what it sees", unit="utility", ge=0
    )
    bias: float = setting(0.05, "bias toward the first segment", unit="utility")


@teacher
def human_simulated(
    question: Question, history: History, generator: np.random.Generator, settings: HumanSettings
) -> Answers:
    """Weighs return, length and smoothness, with noise, bias and confidence.

    Its utility is a weighted sum of criteria; it sees differences in utility with noise and a bias.

    Criteria of a segment, scaled so that their weights can be compared:

    - return: true return, in units of the mean difference between uniformly drawn pairs;
    - length: steps, as a share of the longest possible segment;
    - smoothness: minus the mean squared change of the action from step to step (mean over actions);
      of discrete actions, minus the share of steps with another action than the one before.

    The first is preferred if utility(first) - utility(second) + `bias` + N(0, `noise`^2) > 0.
    Confidence is 2 Phi(|perceived difference| / noise) - 1: how much more the sign of such a
    difference can be trusted than a guess. Indifference (exactly 0) is "equal", with confidence 0.
    """
    from scipy.special import erf  # not needed to check a config

    utility = np.zeros(question.rewards.shape[:2])
    for name, values in criteria(question, history).items():
        utility = utility + getattr(settings.weights, name) * values
    perceived = utility[:, 0] - utility[:, 1] + settings.bias
    perceived = perceived + settings.noise * generator.standard_normal(len(perceived))
    if settings.noise > 0:
        confidence = erf(np.abs(perceived) / settings.noise / np.sqrt(2.0))
    else:
        confidence = (perceived != 0).astype(float)
    return Answers(0.5 + 0.5 * np.sign(perceived), confidence)


def criteria(question: Question, history: History) -> dict[str, np.ndarray]:
    """The criteria of both segments of each pair, by name, each [B, 2]."""
    seen = np.isfinite(question.rewards)
    scale = float(np.mean(history.uniform_gaps)) or 1.0
    if question.actions.ndim == 3:  # discrete: another action, whichever, is a change of 1
        jerk = (np.diff(question.actions, axis=2) != 0).astype(np.float64)
    else:
        jerk = np.mean(np.diff(question.actions.astype(np.float64), axis=2) ** 2, axis=-1)
    steps = seen[..., 1:]
    return {
        "return": np.nansum(question.rewards, axis=-1) / scale,
        "length": seen.mean(-1),
        "smoothness": -np.where(steps, jerk, 0.0).sum(-1) / np.maximum(steps.sum(-1), 1),
    }
