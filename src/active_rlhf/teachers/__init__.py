"""Who answers queries. A teacher sees true rewards and actions, and nothing a selector computed.

One module a teacher, with `build(**settings)` returning it; names, presets and default settings
are `TEACHERS` in `active_rlhf.study.loading`.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from active_rlhf.study.parts import blamed


@dataclass(frozen=True)
class Question:
    """B pairs of segments of H steps: true rewards float64 [B, 2, H], actions [B, 2, H, a].

    A segment of fewer than H steps ends in nan rewards.
    """

    rewards: np.ndarray
    actions: np.ndarray


@dataclass(frozen=True)
class History:
    """What the run has seen, the same for every selector.

    uniform_gaps float64 [K]: |difference of true returns| of uniformly drawn pairs of segments;
    recent_returns: true returns of the last (at most 10) finished episodes; episode_length: steps.
    """

    uniform_gaps: np.ndarray
    recent_returns: np.ndarray
    episode_length: int


@dataclass(frozen=True)
class Answers:
    """preference float64 [B]: 1 first, 0 second, 0.5 equal, nan skipped; confidence [B] in 0..1."""

    preference: np.ndarray
    confidence: np.ndarray


class Teacher(Protocol):
    def __call__(
        self, question: Question, history: History, generator: np.random.Generator
    ) -> Answers: ...


def build(settings: dict[str, Any]) -> Teacher:
    """The teacher of a spec's `teacher` section: complete settings, `name` among them.

    Both its making and its answers raise PartError naming it where they fail or cannot be used.
    """
    name, rest = settings["name"], {k: v for k, v in settings.items() if k != "name"}
    with blamed("teacher", name):
        teacher: Teacher = import_module(f"{__name__}.{name}").build(**rest)

    def answer(question: Question, history: History, generator: np.random.Generator) -> Answers:
        with blamed("teacher", name):
            answers = teacher(question, history, generator)
            asked, given = question.rewards.shape[:1], np.shape(answers.preference)
            if given != asked or np.shape(answers.confidence) != asked:
                raise ValueError(f"gave answers {given}, not one a question {asked}")
            if not np.isin(answers.preference, (0.0, 0.5, 1.0)).all(
                where=~np.isnan(answers.preference)
            ):
                raise ValueError(f"an answer is 1, 0, 0.5 or nan, not {answers.preference}")
        return answers

    return answer
