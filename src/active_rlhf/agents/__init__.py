"""Who acts: agents, and how they learn from the rewards they are given.

An agent is made once per run. It acts for a rollout at a time and learns from it under whatever
rewards the run gives it: the true ones, or those of a reward model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from active_rlhf.tasks import Task
from active_rlhf.tasks.rollout import Rollout

if TYPE_CHECKING:
    from active_rlhf.study.settings import Spec


@dataclass(frozen=True)
class Learned:
    """What an agent reports of a learning step.

    losses: scalars to track, by name; arrays: what it learned from and its new parameters, which
    must be finite.
    """

    losses: dict[str, float]
    arrays: dict[str, Any] = field(default_factory=dict)


class Agent(Protocol):
    """Acts in a task, and learns from the rewards.

    One with a setting `environments` that is more than 1 acts in a `VectorTask` of as many; its
    evaluations are in a single task all the same.
    """

    path: str
    """Which of its implementations runs, and why."""
    discount: float
    """Discount of later rewards, per step."""

    @property
    def moments(self) -> Any:
        """Statistics of all observations so far (`normalise.Moments`), with which the reward model
        normalises; None for pictures."""

    def act(self, task: Task, steps: int, stream: np.random.Generator | None) -> Rollout:
        """Act for `steps` steps, of all environments together, exploring; without a stream, act
        greedily and remember nothing."""

    def learn(
        self, rollout: Rollout, rewards: np.ndarray, progress: float, stream: np.random.Generator
    ) -> Learned:
        """Learn from its latest rollout, under rewards [T].

        progress: share of the run that was done before this rollout, in [0, 1).
        """

    def log_probabilities(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Log density [n] of sampled actions [n, ...] at raw observations [n, ...], as of now."""

    def greedy(self, observations: np.ndarray) -> np.ndarray:
        """Actions [n, ...] without exploration for raw observations [n, ...]."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything needed to use the policy elsewhere, by name.

        They are the agent's own: writing into them changes the policy, as a run does that starts
        from the policy of another one.
        """

    def state_dict(self) -> dict[str, Any]:
        """Everything that later acting and learning depend on."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of an agent of the same settings."""


EVALUATED_AT_ONCE = 1000  # steps; most episodes of a game end long before its horizon


def evaluate(agent: Agent, task: Task, episodes: int) -> np.ndarray:
    """True returns [episodes] of the greedy policy with its normaliser frozen."""
    returns = np.empty(episodes)
    for episode in range(episodes):
        task.reset()
        rewards, over = [], False
        while not over:
            rollout = agent.act(task, min(task.horizon, EVALUATED_AT_ONCE), None)
            over = bool(rollout.ended.any())
            end = np.argmax(rollout.ended) + 1 if over else len(rollout.rewards)
            rewards.append(rollout.rewards[:end])
        returns[episode] = np.concatenate(rewards).sum()
    return returns


def build(spec: "Spec", task: Task, stream: np.random.Generator) -> Agent:
    """The agent of a run; `stream` draws its initial parameters."""
    from active_rlhf.parts import part

    return part("agent", spec.agent.name).build(spec.agent.settings, task, stream)
