"""The teacher that knows the true return."""

from dataclasses import dataclass

import numpy as np

from active_rlhf.teachers import Answers, History, Question


@dataclass(frozen=True)
class Oracle:
    """Prefers the larger true return; a difference below a threshold is equal.

    The threshold is `tie_threshold` (a return) or else the `tie_quantile` of the differences of
    uniformly drawn pairs: whichever pairs a selector asks about, it meets the same teacher.
    """

    tie_quantile: float | None = None
    tie_threshold: float | None = None

    def __call__(
        self, question: Question, history: History, generator: np.random.Generator
    ) -> Answers:
        threshold = self.tie_threshold or 0.0
        if self.tie_quantile:
            threshold = float(np.quantile(history.uniform_gaps, self.tie_quantile))
        first, second = np.nansum(question.rewards, axis=-1).T
        preference = np.where(first > second, 1.0, 0.0)
        preference[(np.abs(first - second) < threshold) | (first == second)] = 0.5
        return Answers(preference, np.ones(len(preference)))


build = Oracle
