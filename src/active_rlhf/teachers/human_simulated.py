"""A simulated human: several criteria, noisy, biased, and more or less sure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from active_rlhf.teachers import Answers, History, Question


@dataclass(frozen=True)
class SimulatedHuman:
    """Judges utility = weighted criteria, sees its difference with noise and a bias.

    Criteria of a segment, so scaled that their weights compare:

    - return: true return, in units of the mean difference between uniformly drawn pairs;
    - length: steps, as a share of the longest possible segment;
    - smoothness: minus the mean squared change of the action from step to step (mean over actions).

    The first is preferred if utility(first) - utility(second) + `bias` + N(0, `noise`^2) > 0.
    Confidence is 2 Phi(|perceived difference| / noise) - 1: how much better than a guess the sign
    of such a difference can be trusted. Indifference (exactly 0) is "equal", with confidence 0.
    """

    weights: Mapping[str, float]
    noise: float
    bias: float

    def __call__(
        self, question: Question, history: History, generator: np.random.Generator
    ) -> Answers:
        utility = sum(self.weights[k] * v for k, v in criteria(question, history).items())
        assert isinstance(utility, np.ndarray)
        perceived = utility[:, 0] - utility[:, 1] + self.bias
        perceived = perceived + self.noise * generator.standard_normal(len(perceived))
        if self.noise > 0:
            confidence = erf(np.abs(perceived) / self.noise / np.sqrt(2.0))
        else:
            confidence = (perceived != 0).astype(float)
        return Answers(0.5 + 0.5 * np.sign(perceived), confidence)


def criteria(question: Question, history: History) -> dict[str, np.ndarray]:
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


build = SimulatedHuman
