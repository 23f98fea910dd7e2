"""Who answers queries. A teacher sees true rewards and actions, and nothing a selector computed.

Each is a file of this folder under `@teacher`: called with a Question, the run's History and a
generator of random numbers that is for teachers alone, it gives Answers. One that remembers (what
tires, learns or counts) is a class with `state_dict` and `load_state_dict`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from active_rlhf.parts import Working, part


@dataclass(frozen=True)
class Question:
    """B pairs of segments of H steps: true rewards float64 [B, 2, H], actions [B, 2, H, a].

    A segment of fewer than H steps ends in nan rewards. session: number of the session, from 0;
    step: environment steps so far; asked: queries before these.
    """

    rewards: np.ndarray
    actions: np.ndarray
    session: int = 0
    step: int = 0
    asked: int = 0


@dataclass(frozen=True)
class History:
    """What the run has seen, the same for every selector.

    uniform_gaps float64 [K]: |difference of true returns| of uniformly drawn pairs of segments;
    recent_returns: true returns of the last (at most 10) finished episodes; episode_length: mean
    steps of these, or the longest that an episode can be while none is finished.
    """

    uniform_gaps: np.ndarray
    recent_returns: np.ndarray
    episode_length: float


@dataclass(frozen=True)
class Answers:
    """preference float64 [B]: 1 first, 0 second, 0.5 equal, nan skipped; confidence [B] in 0..1."""

    preference: np.ndarray
    confidence: np.ndarray


class Teacher:
    """A teacher at work in a run; it may remember what it was asked."""

    def __init__(self, part: Working):
        self._part = part

    def __call__(
        self, question: Question, history: History, generator: np.random.Generator
    ) -> Answers:
        """Raises PartError naming it where it fails or gives what cannot be used."""
        with self._part.blamed():
            answers: Answers = self._part(question, history, generator)
            asked, given = question.rewards.shape[:1], np.shape(answers.preference)
            if given != asked or np.shape(answers.confidence) != asked:
                raise ValueError(f"gave answers {given}, not one a question {asked}")
            if not np.isin(answers.preference, (0.0, 0.5, 1.0)).all(
                where=~np.isnan(answers.preference)
            ):
                raise ValueError(f"an answer is 1, 0, 0.5 or nan, not {answers.preference}")
        return answers

    def state_dict(self) -> dict[str, Any]:
        """What it remembers; empty if it keeps nothing."""
        return self._part.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._part.load_state_dict(state)


def build(choice: Mapping[str, Any]) -> Teacher:
    """The teacher of a spec's `teacher` section: a name and settings.

    Raises PartError if it cannot be made.
    """
    settings = {key: value for key, value in choice.items() if key != "name"}
    return Teacher(part("teacher", choice["name"]).start(settings))
