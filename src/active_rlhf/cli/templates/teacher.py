"""A teacher: who answers the queries.

In a study:

    parts: [template_name.py]
    teacher: {name: template_name, after: 100}
"""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from active_rlhf.parts import teacher
from active_rlhf.teachers import Answers, History, Question


# A teacher that remembers nothing may be a function of question, history and generator instead.
@teacher(name="template_name")
class TemplateName:
    """Prefers the larger true return, and guesses more often the longer it has worked."""

    def __init__(
        self,
        *,
        # Every keyword-only parameter is a setting, with its type, range and a sentence.
        after: Annotated[
            int, Field(ge=1, description="queries after which half of its answers are guesses")
        ] = 100,
    ):
        self.after, self.answered = after, 0

    def __call__(
        self, question: Question, history: History, generator: np.random.Generator
    ) -> Answers:
        # True rewards [B, 2, H]; shorter segments end in nan.
        first, second = np.nansum(question.rewards, axis=-1).T
        preference = np.where(first > second, 1.0, np.where(first < second, 0.0, 0.5))
        guess, coin = generator.random((2, len(preference)))
        tired = 1 - 0.5 ** (self.answered / self.after)
        preference = np.where(guess < tired, np.round(coin), preference)
        self.answered += len(preference)
        # 1 first, 0 second, 0.5 equal, nan no answer; and how sure of it, 0 to 1.
        return Answers(preference, np.ones(len(preference)))

    # State for a run's checkpoints: arrays, numbers, text, lists and mappings.
    def state_dict(self) -> dict[str, Any]:
        return {"answered": self.answered}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.answered = state["answered"]
