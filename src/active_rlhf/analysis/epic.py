"""The distance of two reward functions that does not depend on how a policy learns from them: EPIC.

Gleave, Dennis, Legg, Russell and Leike 2021, "Quantifying differences in reward functions". A
reward R(s, a, s') is brought to canonical form, which is the same for all rewards that differ by
potential shaping alone (definition 4.1):

    C(R)(s, a, s') = R(s, a, s') + E[gamma R(s', A, S') - R(s, A, S') - gamma R(S, A, S')],

with independent S, S' of the states and A of the actions. The distance is the Pearson distance of
two canonical forms over transitions (definitions 4.2 and 4.3): 0 for rewards with the same optimal
policies whatever the dynamics, 1/sqrt(2) for unrelated ones, 1 for opposite ones.

A reward model's R(s, a) does not look at s'. Its canonical form does, through gamma E[R(s', A)]
alone, and no potential shaping but a constant leaves it a function of (s, a): so between two such
rewards the distance is 0 only for c R + d with c > 0. What is true is compared as such a function
too: what a step from s with a pays.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Reward = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""R(s, a, s') float64 [k] of states [k, ...], actions [k, ...] and next states [k, ...]."""


@dataclass(frozen=True)
class Coverage:
    """Where rewards are compared: n transitions, and m draws of A and S' for the expectations.

    states, next_states [n, ...]; actions [n, ...]; drawn_actions, drawn_states [m, ...].
    """

    states: np.ndarray
    actions: np.ndarray
    next_states: np.ndarray
    drawn_actions: np.ndarray
    drawn_states: np.ndarray


def canonical(reward: Reward, over: Coverage, gamma: float) -> np.ndarray:
    """C(R) float64 [n] of the transitions, but for the constant E[gamma R(S, A, S')].

    Every expectation is over the same draws, so shaping drops out exactly, not only on average.
    """

    def expected(states: np.ndarray) -> np.ndarray:
        n, m = len(states), len(over.drawn_actions)
        drawn = (np.concatenate([each] * n) for each in (over.drawn_actions, over.drawn_states))
        return reward(np.repeat(states, m, axis=0), *drawn).reshape(n, m).mean(1)

    here = reward(over.states, over.actions, over.next_states)
    return here + gamma * expected(over.next_states) - expected(over.states)


def pearson_distance(first: np.ndarray, second: np.ndarray) -> float:
    """sqrt((1 - rho) / 2) in [0, 1] of values [n]; NaN where one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    rho = np.corrcoef(first, second)[0, 1]
    return float(np.sqrt(max(0.0, 1 - rho) / 2))


def distance(first: Reward, second: Reward, over: Coverage, gamma: float) -> float:
    """The EPIC distance of two rewards."""
    return pearson_distance(canonical(first, over, gamma), canonical(second, over, gamma))
