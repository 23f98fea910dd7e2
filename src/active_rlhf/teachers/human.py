"""People who compare clips on a web page, while the run waits for them or goes on."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import field_validator

from active_rlhf.parts import teacher
from active_rlhf.study.sections import Section, setting
from active_rlhf.teachers import Answers, History, Interrupted, Place, Question

if TYPE_CHECKING:
    from active_rlhf.labelling.queue import Asked

POLL = 0.2  # seconds between looks at the queue
DRAWN = 200  # uniformly drawn pairs, of which those farthest apart are for practice and tests

QUESTIONS = {
    "HalfCheetah": "Which cheetah runs forward faster?",
    "Hopper": "Which hopper moves forward faster?",
    "Walker2d": "Which walker moves forward faster?",
    "Ant": "Which ant moves forward faster?",
    "CartPole": "Which cart keeps its pole upright better?",
}
"""What people are asked by default, by the first part of an environment's id."""


class Checks(Section):
    """Further showings that tell how good a person is, as shares of the queries shown to them."""

    gold: float = setting(
        0.05, "pairs whose true returns are far apart", unit="share of queries", ge=0, le=1
    )
    repeat: float = setting(0.05, "pairs shown again", unit="share of queries", ge=0, le=1)
    mirror: float = setting(
        0.05, "pairs shown again with sides exchanged", unit="share of queries", ge=0, le=1
    )


class Overlap(Section):
    """Queries that several people answer without knowing of each other."""

    people: int = setting(2, "people who answer such a query", unit="people", ge=2)
    share: float = setting(0.0, "share of such queries", unit="share of queries", ge=0, le=1)


class PeopleSettings(Section):
    """What people are asked, how long a run waits for them, and what becomes of their answers."""

    question: str | None = setting(
        None, "what the page asks", unit="text", shown="by environment", min_length=1
    )
    wait: Literal["all", "none"] | float = setting(
        "all",
        "a session waits for `all` its answers, for a share of them, or for `none`",
        unit="`all`, `none`, share",
    )
    timeout: str | None = setting(
        None,
        "the longest that a session waits, such as `30min`; without it, as long as it takes",
        unit="s, min, h, d",
    )
    on_timeout: Literal["go_on", "stop"] = setting(
        "go_on",
        "then go on with the answers there are, or stop until the same command is given again",
        unit="`go_on`, `stop`",
    )
    retrain_after: int = setting(
        10,
        "late answers that make the reward model learn again before the next session",
        unit="answers",
        ge=1,
    )
    combine: Literal["first", "majority", "weighted"] = setting(
        "first",
        "what counts where several people answered: the first answer, the most frequent, or the "
        "most probable by how reliable each of them is",
        unit="`first`, `majority`, `weighted`",
    )
    practice: int = setting(4, "pairs with feedback before a person's first query", ge=0)
    checks: Checks = setting(Checks(), "showings that tell how good a person is")
    overlap: Overlap = setting(Overlap(), "queries answered by several people")

    @field_validator("wait")
    @classmethod
    def _is_a_share(cls, wait: str | float) -> str | float:
        if not isinstance(wait, str) and not 0 < wait <= 1:
            raise ValueError(f"must be all, none, or a share above 0 and at most 1, not {wait}")
        return wait

    @field_validator("timeout")
    @classmethod
    def _is_a_time(cls, timeout: str | None) -> str | None:
        if timeout is not None:
            seconds(timeout)
        return timeout

    @property
    def waits_for(self) -> float:
        """The share of a session's answers that it waits for."""
        return {"all": 1.0, "none": 0.0}[self.wait] if isinstance(self.wait, str) else self.wait


def seconds(span: str) -> float:
    """The seconds of a span such as `90s`, `30min`, `2h` or `1d`. Raises ValueError."""
    from humanfriendly import InvalidTimespan, parse_timespan

    try:
        return float(parse_timespan(span))
    except InvalidTimespan:
        raise ValueError(f"must be a time such as 90s, 30min or 2h, not {span!r}") from None


@teacher
class Human:
    """People at the page of `active-rlhf label`, through a queue in the run's directory.

    A session waits for as many of its answers as `wait` says. Those that come later enter at the
    next session, or once there are `retrain_after` of them. What the run took, and at which step,
    is in the queue, so a run that was killed goes on with the same answers.
    """

    def __init__(self, *, settings: PeopleSettings):
        self.settings = settings
        self.waits = settings.waits_for > 0
        self._session = np.empty(0, np.int64)

    def begin_at(self, place: Place) -> None:
        from active_rlhf.films import Studio
        from active_rlhf.labelling.queue import RunsEnd

        self.place, self.studio = place, Studio.of(place.spec)
        about = {
            "environment": place.spec.environment,
            "method": place.spec.method,
            "seed": place.spec.seed,
            "question": self.settings.question or question_about(place.spec.environment),
            "budget": place.spec.labels.total if place.spec.labels else 0,
            "practice": self.settings.practice,
            "checks": self.settings.checks.as_dict(),
            "spec": place.spec.as_dict(),
        }
        self.queue = RunsEnd(place.folder, {key: json.dumps(about[key]) for key in about})

    def ask(
        self,
        tickets: np.ndarray,
        question: Question,
        history: History,
        generator: np.random.Generator,
    ) -> None:
        self._session = tickets
        step, session = question.step, question.session
        shared = generator.random(len(tickets)) < self.settings.overlap.share
        wanted = np.where(shared, self.settings.overlap.people, 1)
        self._offer(question, generator)
        queries = self._asked(question.pairs, wanted)
        self.queue.ask(dict(zip(tickets.tolist(), queries, strict=True)), session, step)

    def _offer(self, question: Question, generator: np.random.Generator) -> None:
        """Add practice pairs in the first session, and gold ones in every session."""
        behaviour, length = self.place.behaviour, self.place.length
        pairs = behaviour.draw(generator, 2 * DRAWN, length).reshape(-1, 2)
        returns = behaviour.returns(pairs, length)
        gaps = np.abs(returns[:, 0] - returns[:, 1])
        apart = pairs[np.argsort(-gaps, kind="stable")][: np.count_nonzero(gaps)]
        practice = 0 if question.session else self.settings.practice
        gold = math.ceil(self.settings.checks.gold * len(question.pairs))
        for purpose, chosen in (
            ("practice", apart[:practice]),
            ("gold", apart[practice : practice + gold]),
        ):
            offered = self._asked(chosen, np.ones(len(chosen), np.int64))
            self.queue.offer(purpose, offered, question.session, question.step)

    def _asked(self, pairs: np.ndarray, wanted: np.ndarray) -> "list[Asked]":
        """Pairs [n, 2] of segments with what shows them, and the people who should answer [n]."""
        from active_rlhf.labelling.queue import Asked, Film, digest_of

        behaviour, length = self.place.behaviour, self.place.length
        shown = self.studio.of_store(behaviour, pairs.ravel().tolist(), length)
        films = {segment: Film.of(film.to_bytes()) for segment, film in shown.items()}
        returns = behaviour.returns(pairs, length).tolist()
        return [
            Asked(
                digest_of(*behaviour.gather(pair, length)),
                (films[int(pair[0])], films[int(pair[1])]),
                (first, second),
                int(people),
            )
            for pair, (first, second), people in zip(pairs, returns, wanted, strict=True)
        ]

    def collect(self) -> list[tuple[np.ndarray, Answers]]:
        from active_rlhf.labelling.combining import COMBINED

        step, session, self._session = self.place.behaviour.steps, self._session, self._session[:0]
        expired = False
        if len(session) and self.queue.taken_at(step) is None:
            expired = self._wait(session)
        taken = self.queue.take(step, COMBINED[self.settings.combine], partly=expired)
        if not taken:
            return []
        answers = Answers(
            np.array([one.preference for one in taken]),
            np.array([one.confidence for one in taken]),
        )
        return [(np.array([one.ticket for one in taken], np.int64), answers)]

    def _wait(self, session: Sequence[int] | np.ndarray) -> bool:
        """Wait for as many answers as the settings say; returns whether time ran out first."""
        tickets = [int(ticket) for ticket in session]
        needed = math.ceil(round(self.settings.waits_for * len(tickets), 6))
        limit = seconds(self.settings.timeout) if self.settings.timeout else math.inf
        begun = time.monotonic()
        while (answered := self.queue.answered(tickets)) < needed:
            if self.place.stopping():
                raise Interrupted(f"stopped while waiting for {needed - answered} answers")
            if time.monotonic() - begun > limit:
                if self.settings.on_timeout == "stop":
                    raise Interrupted(
                        f"{needed - answered} answers did not come within {self.settings.timeout}"
                    )
                return True
            self.place.waiting(f"answers: {answered} of {needed} are there")
            time.sleep(POLL)
        return False

    def has_news(self) -> bool:
        """Whether enough late answers came, or did when an earlier process was here."""
        taken = self.queue.taken_at(self.place.behaviour.steps)
        return self.queue.waiting() >= self.settings.retrain_after if taken is None else taken

    def save_to(self, folder: Path) -> None:
        """Write `answers.csv`: who said what, and when."""
        from active_rlhf.labelling.records import RECORD, write_csv

        self.queue.close()
        write_csv(folder, folder / RECORD)

    def state_dict(self) -> dict[str, Any]:
        return {}  # the queue remembers everything

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """It keeps nothing."""


def question_about(environment: str) -> str:
    """What people are asked about an environment, unless the settings say."""
    name = environment.rsplit("/", 1)[-1]
    for start, question in QUESTIONS.items():
        if name.startswith(start):
            return question
    return "Which of the two does better?"
