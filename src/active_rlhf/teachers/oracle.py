"""The teacher that knows the true return."""

import numpy as np
from pydantic import model_validator

from active_rlhf.parts import teacher
from active_rlhf.study.sections import Section, setting
from active_rlhf.teachers import Answers, History, Question


class Ties(Section):
    """When a difference is too small to be seen; one of the two is given."""

    tie_quantile: float = setting(
        0.2,
        "of the differences of uniformly drawn pairs of the run's behaviour, below which segments "
        "are equal; 0 without `tie_threshold`: only if they are",
        unit="share",
        ge=0,
        le=1,
    )
    tie_threshold: float = setting(
        0.0, "below which a difference is equal, in place of `tie_quantile`", unit="return", ge=0
    )

    @model_validator(mode="before")
    @classmethod
    def _one_of_them(cls, given: object) -> object:
        if not isinstance(given, dict) or "tie_threshold" not in given:
            return given
        if given.get("tie_quantile") and given["tie_threshold"]:
            raise ValueError("give tie_quantile or tie_threshold, not both")
        return {"tie_quantile": 0.0, **given}


@teacher
def oracle(
    question: Question, history: History, generator: np.random.Generator, settings: Ties
) -> Answers:
    """Prefers the larger true return; too small a difference is equal.

    Too small is below `tie_threshold` or else the `tie_quantile` of the differences of uniformly
    drawn pairs: whichever pairs a selector asks about, it meets the same teacher.
    """
    threshold = settings.tie_threshold
    if settings.tie_quantile:
        threshold = float(np.quantile(history.uniform_gaps, settings.tie_quantile))
    first, second = np.nansum(question.rewards, axis=-1).T
    preference = np.where(first > second, 1.0, 0.0)
    preference[(np.abs(first - second) < threshold) | (first == second)] = 0.5
    return Answers(preference, np.ones(len(preference)))
