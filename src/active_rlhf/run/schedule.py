"""How long a run is, and when it asks: whole numbers that add up exactly."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from active_rlhf.study.settings import Choice, EnvironmentSettings, Spec

ROLLOUT_STEPS = 2048  # for an agent without such a setting
RECENT_RETURNS = 10  # true returns that scale a B-Pref teacher, and that make a run's final return


def queries_per_session(total: int, initial: int, sessions: int) -> list[int]:
    """Queries of each session, adding up to `total`: `initial` first, the rest spread evenly.

    Raises ValueError if a session would have none, or the first cannot have `initial`.
    """
    rest, later = total - initial, sessions - 1
    if initial < 1 or sessions < 1 or rest < later or (later == 0 and rest > 0):
        raise ValueError(f"{total} queries, {initial} first, do not fill {sessions} sessions")
    bounds = [rest * k // later for k in range(sessions)] if later else []
    return [initial, *(b - a for a, b in pairwise(bounds))]


def held_out_per_session(queries: Sequence[int], fraction: float) -> list[int]:
    """How many of each session's queries are for validation: round(fraction * total) in all.

    The running total is its share rounded to a whole number (halves down), so no session is more
    than one query away from `fraction`.
    """
    total = sum(queries)
    held_out = round(fraction * total)
    shares = [(2 * held_out * asked + total - 1) // (2 * total) for asked in accumulate(queries)]
    return [b - a for a, b in pairwise([0, *shares])]


def first_session(rollouts: int, share: float) -> int:
    """The rollout, counted from 0, at whose end a `share` of all rollouts is done."""
    return max(0, math.ceil(round(share * rollouts, 6)) - 1)  # 0.07 of 100 is 7


def session_rollouts(rollouts: int, sessions: int, first: int) -> list[int]:
    """The rollouts, counted from 0, after which a session takes place.

    They are evenly spaced from `first` on, with the same space after the last one. Raises
    ValueError if there are more sessions than rollouts.
    """
    if not 1 <= sessions <= rollouts - first:
        raise ValueError(f"{sessions} sessions do not fit {rollouts} rollouts from {first} on")
    return [first + k * (rollouts - first) // sessions for k in range(sessions)]


@dataclass(frozen=True)
class Plan:
    """The schedule that a spec describes."""

    size: int  # steps of a rollout
    rollouts: int
    when: list[int]  # rollouts that end in a session
    queries: list[int]
    held_out: list[int]

    @classmethod
    def of(cls, spec: Spec) -> "Plan":
        """The plan of a run. An agent acts for its `rollout_steps` at a time."""
        size = rollout_steps(spec.agent)
        rollouts, labels = spec.total_steps // size, spec.labels
        if labels is None:
            return cls(size, rollouts, [], [], [])
        queries = queries_per_session(labels.total, labels.initial, labels.sessions)
        first = first_session(rollouts, labels.first_after)
        return cls(
            size,
            rollouts,
            when=session_rollouts(rollouts, labels.sessions, first),
            queries=queries,
            held_out=held_out_per_session(queries, labels.validation_fraction),
        )

    def session_after(self, rollout: int) -> tuple[int, int] | None:
        """Queries to ask after a rollout, counted from 0, and how many of them to hold out."""
        at = bisect_left(self.when, rollout)
        if at == len(self.when) or self.when[at] != rollout:
            return None
        return self.queries[at], self.held_out[at]

    def evaluates_after(self, rollouts: int, every: int) -> bool:
        """Whether an evaluation follows the first n rollouts: at regular steps, and at the end."""
        steps = rollouts * self.size
        return steps // every > (steps - self.size) // every or rollouts == self.rollouts

    @property
    def steps(self) -> int:
        """Environment steps in all: whole rollouts only."""
        return self.rollouts * self.size

    def asked(self, rollouts: Iterable[int]) -> list[int]:
        """Queries asked in the first n rollouts, for each n."""
        totals = [0, *accumulate(self.queries)]
        return [totals[bisect_left(self.when, n)] for n in rollouts]


def steps_of_runs(environments: Mapping[str, EnvironmentSettings]) -> dict[str, int]:
    """Steps of a finished run, by environment; `environments` are a study's."""
    steps = {}
    for name, own in environments.items():
        size = rollout_steps(own.agent)
        steps[name] = own.total_steps // size * size
    return steps


def rollout_steps(agent: Choice) -> int:
    """The steps of one rollout, from an agent's settings."""
    return int(agent.settings.get("rollout_steps", ROLLOUT_STEPS))


def lanes(agent: Choice) -> int:
    """The environments that an agent acts in, in step, from its settings."""
    return int(agent.settings.get("environments", 1))
