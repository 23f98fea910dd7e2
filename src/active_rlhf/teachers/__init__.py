"""Who answers queries. A teacher sees true rewards and actions, and nothing a selector computed.

Each is a file of this folder with the decorator `@teacher`. It is called with a Question, the run's
History and a random generator used only by teachers, and gives Answers. A teacher that keeps state
(one that tires, learns or counts) is a class with `state_dict` and `load_state_dict`; one that
takes its time is such a class with `ask` and `collect` in place of the call. Such a class may also
have `begin_at`, which is told the run's Place; `has_news`, whether answers came that the reward
model should learn from before the next session; `waits`, whether `collect` may take long; and
`save_to`, which writes what the teacher adds to a finished run's directory.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from active_rlhf.errors import InputError
from active_rlhf.parts import Part, Working, part

if TYPE_CHECKING:
    from active_rlhf.behaviour.store import SegmentStore
    from active_rlhf.study.settings import Choice, Spec


class Interrupted(InputError):
    """A teacher stopped waiting for answers, so the run cannot go on now; the message says why."""


@dataclass(frozen=True)
class Question:
    """B pairs of segments of H steps: true rewards float64 [B, 2, H], actions [B, 2, H, a], or
    [B, 2, H] if they are discrete.

    Shorter segments end in nan rewards. session: number of the session, from 0; step: environment
    steps so far; asked: queries before these; pairs: ids of the segments in the run's store of
    behaviour, int64 [B, 2].
    """

    rewards: np.ndarray
    actions: np.ndarray
    session: int = 0
    step: int = 0
    asked: int = 0
    pairs: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))


@dataclass(frozen=True)
class History:
    """What the run has seen, the same for every selector.

    uniform_gaps float64 [K]: |difference of true returns| of uniformly drawn pairs of segments;
    recent_returns: true returns of the last (at most 10) finished episodes; episode_length: mean
    steps of these or, before any has finished, the most that an episode can have.
    """

    uniform_gaps: np.ndarray
    recent_returns: np.ndarray
    episode_length: float


@dataclass(frozen=True)
class Answers:
    """preference float64 [B]: 1 first, 0 second, 0.5 equal, nan skipped; confidence [B] in 0..1."""

    preference: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Place:
    """Where a run is, for teachers that show its behaviour to somebody, or wait.

    folder: the run's directory; behaviour: all it did; length: of segments, in steps; stopping:
    whether the run was told to stop; waiting: to be called now and then, with a line on what is
    waited for.
    """

    folder: Path
    spec: "Spec"
    behaviour: "SegmentStore"
    length: int
    stopping: Callable[[], bool]
    waiting: Callable[[str], None]


class Teacher(Protocol):
    """A teacher in use by a run. It may take its time, and remember what it was asked."""

    waits: bool
    """Whether `collect` may take long."""

    def begin_at(self, place: Place) -> None:
        """Learn where the run is, before it asks anything."""

    def ask(
        self,
        tickets: np.ndarray,
        question: Question,
        history: History,
        generator: np.random.Generator,
    ) -> None:
        """Ask it about B pairs, which the ledger knows by their tickets, int64 [B]."""

    def collect(self) -> list[tuple[np.ndarray, Answers]]:
        """The answers that arrived since the last call, with the tickets of their queries.

        Raises Interrupted if it should wait for them and cannot.
        """

    def has_news(self) -> bool:
        """Whether answers came that the reward model should learn from before the next session."""

    def save_to(self, folder: Path) -> None:
        """Write what the teacher adds to the directory of a finished run."""

    def state_dict(self) -> dict[str, Any]:
        """Its state; empty if it keeps none."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore this state."""


def checked(answers: Answers, count: int) -> Answers:
    """The answers, if each of `count` questions has a usable one; else raises ValueError."""
    given, asked = np.shape(answers.preference), (count,)
    if given != asked or np.shape(answers.confidence) != asked:
        raise ValueError(f"gave answers {given}, not one per question {asked}")
    known = np.isin(answers.preference, (0.0, 0.5, 1.0)) | np.isnan(answers.preference)
    if not known.all():
        raise ValueError(f"an answer is 1, 0, 0.5 or nan, not {answers.preference}")
    return answers


class AtOnce:
    """A teacher that answers when it is called."""

    waits = False

    def __init__(self, part: Working):
        self._part = part
        self._answered: list[tuple[np.ndarray, Answers]] = []

    def ask(
        self,
        tickets: np.ndarray,
        question: Question,
        history: History,
        generator: np.random.Generator,
    ) -> None:
        """Raises PartError naming the teacher if it fails or gives unusable answers."""
        with self._part.blamed():
            answers = checked(self._part(question, history, generator), len(tickets))
        self._answered.append((tickets, answers))

    def collect(self) -> list[tuple[np.ndarray, Answers]]:
        answered, self._answered = self._answered, []
        return answered

    def begin_at(self, place: Place) -> None:
        """It needs no place."""

    def has_news(self) -> bool:
        return False  # nothing comes later

    def save_to(self, folder: Path) -> None:
        """It has nothing to add."""

    def state_dict(self) -> dict[str, Any]:
        return self._part.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._part.load_state_dict(state)


class Patient:
    """A teacher that is a class with its own `ask` and `collect`, whose answers may come later.

    It must remember unanswered queries itself, in its `state_dict`.
    """

    def __init__(self, part: Part, inner: Any):
        self._part, self._inner = part, inner
        self.waits = bool(getattr(inner, "waits", False))

    def begin_at(self, place: Place) -> None:
        self._if_it_can("begin_at", place)

    def has_news(self) -> bool:
        return bool(self._if_it_can("has_news"))

    def save_to(self, folder: Path) -> None:
        self._if_it_can("save_to", folder)

    def _if_it_can(self, name: str, *given: Any) -> Any:
        with self._part.blamed():
            return getattr(self._inner, name)(*given) if hasattr(self._inner, name) else None

    def ask(
        self,
        tickets: np.ndarray,
        question: Question,
        history: History,
        generator: np.random.Generator,
    ) -> None:
        """Raises PartError naming the teacher if it fails."""
        with self._part.blamed():
            self._inner.ask(tickets, question, history, generator)

    def collect(self) -> list[tuple[np.ndarray, Answers]]:
        """Raises PartError naming the teacher if it fails or gives unusable answers."""
        with self._part.blamed():
            found = [(np.asarray(tickets), answers) for tickets, answers in self._inner.collect()]
            return [(tickets, checked(answers, len(tickets))) for tickets, answers in found]

    def state_dict(self) -> dict[str, Any]:
        with self._part.blamed():
            return dict(self._inner.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        with self._part.blamed():
            self._inner.load_state_dict(state)


def build(choice: "Choice") -> Teacher:
    """The teacher of a spec, from its name and settings.

    Raises PartError if it cannot be made.
    """
    declared = part("teacher", choice.name)
    if not hasattr(declared.make, "collect"):
        return AtOnce(declared.start(choice.settings))
    with declared.blamed():
        for needed in ("ask", "state_dict", "load_state_dict"):
            if not hasattr(declared.make, needed):
                raise TypeError(f"has collect, so it needs {needed}")
    return Patient(declared, declared.build(choice.settings))
