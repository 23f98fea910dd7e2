"""The teacher that knows the true return."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import model_validator

from active_rlhf.parts import teacher
from active_rlhf.study.sections import Section, setting
from active_rlhf.teachers import Answers, History, Question


class OracleSettings(Section):
    """When a difference is too small to be seen, by one of two rules."""

    tie_quantile: float | None = setting(
        None,
        "returns that differ by less than this quantile of the differences of uniformly drawn "
        "pairs are equal",
        unit="share",
        shown="0.2",
        ge=0,
        le=1,
    )
    tie_threshold: float | None = setting(
        None,
        "returns that differ by less than this are equal; replaces `tie_quantile`",
        unit="return",
        ge=0,
    )

    @model_validator(mode="before")
    @classmethod
    def _one_of_both(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        said = {key for key in ("tie_quantile", "tie_threshold") if given.get(key) is not None}
        if len(said) == 2:
            raise ValueError("give tie_quantile or tie_threshold, not both")
        return given if said else {**given, "tie_quantile": 0.2}


@teacher
def oracle(
    question: Question, history: History, generator: np.random.Generator, settings: OracleSettings
) -> Answers:
    """Prefers the larger true return; a difference that is too small counts as equal.

    Too small means below `tie_threshold`, or below the `tie_quantile` of the differences of
    uniformly drawn pairs. So the teacher is the same for every selector, whichever pairs it asks
    about.
    """
    threshold = settings.tie_threshold or 0.0
    if settings.tie_quantile:
        threshold = float(np.quantile(history.uniform_gaps, settings.tie_quantile))
    first, second = np.nansum(question.rewards, axis=-1).T
    preference = np.where(first > second, 1.0, 0.0)
    preference[(np.abs(first - second) < threshold) | (first == second)] = 0.5
    return Answers(preference, np.ones(len(preference)))
