"""The teacher that knows the true return."""

from typing import Literal

import numpy as np
from pydantic import model_validator

from active_rlhf.parts import teacher
from active_rlhf.study.sections import Section, setting
from active_rlhf.teachers import Answers, History, Question


class OracleSettings(Section):
    """When a difference is too small to be seen; without these, only equal returns are equal."""

    tie_quantile: float | None = setting(
        None,
        "returns that differ by less than this quantile of differences of returns are equal",
        unit="share",
        ge=0,
        le=1,
    )
    ties_among: Literal["behaviour", "session"] | None = setting(
        None,
        "which differences `tie_quantile` is a quantile of: those of pairs drawn uniformly from "
        "the run's `behaviour`, or of the `session`'s own pairs, as published",
        unit="`behaviour`, `session`",
        shown="`behaviour`",
    )
    tie_threshold: float | None = setting(
        None,
        "returns that differ by less than this are equal; instead of `tie_quantile`",
        unit="return",
        ge=0,
    )

    @model_validator(mode="after")
    def _one_rule(self) -> "OracleSettings":
        if self.tie_quantile is not None and self.tie_threshold is not None:
            raise ValueError("give tie_quantile or tie_threshold, not both")
        if self.ties_among is not None and self.tie_quantile is None:
            raise ValueError("ties_among says which quantile; give tie_quantile too")
        return self


@teacher
def oracle(
    question: Question, history: History, generator: np.random.Generator, settings: OracleSettings
) -> Answers:
    """Prefers the larger true return; only equal returns are equal, as B-Pref's oracle says.

    With `tie_threshold`, or with a `tie_quantile` of uniformly drawn pairs, smaller differences are
    equal too. Such a teacher is the same for every selector, whichever pairs it is asked about, but
    a selector that looks for close calls gets more ties. With a quantile of the session's own pairs
    all get as many, each from another teacher.
    """
    first, second = np.nansum(question.rewards, axis=-1).T
    gaps = np.abs(first - second)
    threshold = settings.tie_threshold or 0.0
    if settings.tie_quantile:
        among = gaps if settings.ties_among == "session" else history.uniform_gaps
        threshold = float(np.quantile(among, settings.tie_quantile))
    preference = np.where(first > second, 1.0, 0.0)
    preference[(gaps < threshold) | (first == second)] = 0.5
    return Answers(preference, np.ones(len(preference)))
