"""A simulated human: several criteria, noisy, biased, and more or less sure."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator

from active_rlhf.parts import teacher
from active_rlhf.study.sections import setting
from active_rlhf.teachers import Answers, History, Question

Criterion = Literal["return", "length", "smoothness"]
Weights = dict[Criterion, float]
WEIGHTS: Weights = {"return": 1.0, "length": 0.5, "smoothness": 0.2}


def _complete(given: Weights) -> Weights:
    return WEIGHTS | given


@teacher(name="human_simulated")
@dataclass(frozen=True, kw_only=True)
class SimulatedHuman:
    """Weighs return, length and smoothness, with noise, bias and confidence.

    It judges utility = weighted criteria, and sees its difference with noise and a bias.

    Criteria of a segment, so scaled that their weights compare:

    - return: true return, in units of the mean difference between uniformly drawn pairs;
    - length: steps, as a share of the longest possible segment;
    - smoothness: minus the mean squared change of the action from step to step (mean over actions).

    The first is preferred if utility(first) - utility(second) + `bias` + N(0, `noise`^2) > 0.
    Confidence is 2 Phi(|perceived difference| / noise) - 1: how much better than a guess the sign
    of such a difference can be trusted. Indifference (exactly 0) is "equal", with confidence 0.
    """

    weights: Annotated[
        Weights,
        setting(
            ...,
            "of `return`, `length` and `smoothness`; those not given stay",
            unit="utility a unit",
        ),
        AfterValidator(_complete),
    ] = field(default_factory=WEIGHTS.copy)
    noise: Annotated[
        float,
        setting(..., "of what is perceived", unit="sd of utility", ge=0),
    ] = 0.25
    bias: Annotated[float, setting(..., "toward the first segment", unit="utility")] = 0.05

    def __call__(
        self, question: Question, history: History, generator: np.random.Generator
    ) -> Answers:
        from scipy.special import erf  # not needed to check a config

        utility = np.zeros(question.rewards.shape[:2])
        for name, values in criteria(question, history).items():
            utility = utility + self.weights[name] * values
        perceived = utility[:, 0] - utility[:, 1] + self.bias
        perceived = perceived + self.noise * generator.standard_normal(len(perceived))
        if self.noise > 0:
            confidence = erf(np.abs(perceived) / self.noise / np.sqrt(2.0))
        else:
            confidence = (perceived != 0).astype(float)
        return Answers(0.5 + 0.5 * np.sign(perceived), confidence)


def criteria(question: Question, history: History) -> dict[Criterion, np.ndarray]:
    """The criteria of both segments of each pair, by name, each [B, 2]."""
    seen = np.isfinite(question.rewards)
    scale = float(np.mean(history.uniform_gaps)) or 1.0
    jerk = np.mean(np.diff(question.actions.astype(np.float64), axis=2) ** 2, axis=-1)
    steps = seen[..., 1:]
    return {
        "return": np.nansum(question.rewards, axis=-1) / scale,
        "length": seen.mean(-1),
        "smoothness": -np.where(steps, jerk, 0.0).sum(-1) / np.maximum(steps.sum(-1), 1),
    }
