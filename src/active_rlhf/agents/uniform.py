"""Uniformly random actions: the baseline that learning is measured against."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from active_rlhf.agents import Learned
from active_rlhf.agents.normalise import Moments, count, empty_moments
from active_rlhf.parts import agent
from active_rlhf.tasks import Task
from active_rlhf.tasks.rollout import Rollout, collect


@agent(name="uniform")
class Uniform:
    """Acts uniformly at random within the task's bounds, and never learns."""

    path = "numpy"
    discount = 1.0

    def __init__(
        self,
        task: Task,
        stream: np.random.Generator,
        *,
        rollout_steps: Annotated[
            int,
            Field(ge=1, description="steps of one rollout", json_schema_extra={"unit": "steps"}),
        ] = 2048,
    ):
        self._space = task.action_space
        self.moments: Moments = empty_moments(int(np.prod(task.observation_space.shape)))
        self._unasked = np.random.default_rng(stream.integers(2**63))
        """For actions without a stream: here, acting greedily is as random as exploring."""

    def _actions(self, steps: int, stream: np.random.Generator) -> np.ndarray:
        """Uniform actions [steps, ...]; standard normal where they have no bounds."""
        space = self._space
        if hasattr(space, "n"):
            return stream.integers(space.n, size=steps)
        low, high = (bound.astype(np.float32) for bound in (space.low, space.high))
        bounded = np.isfinite(low) & np.isfinite(high)
        shape = (steps, *space.shape)
        actions = stream.uniform(np.where(bounded, low, 0), np.where(bounded, high, 1), shape)
        if not bounded.all():
            actions = np.where(bounded, actions, stream.standard_normal(shape))
        return actions.astype(np.float32)

    def act(self, task: Task, steps: int, stream: np.random.Generator | None) -> Rollout:
        actions = self._actions(steps, self._unasked if stream is None else stream)

        def met(observation: np.ndarray, after: int | None) -> None:
            if stream is not None:
                count(self.moments, observation.ravel())

        return collect(task, steps, lambda observation, t: actions[t], met)

    def learn(
        self, rollout: Rollout, rewards: np.ndarray, progress: float, stream: np.random.Generator
    ) -> Learned:
        return Learned({})

    def log_probabilities(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The same for all actions: minus the log of their number, or of the volume of the box."""
        space = self._space
        size = np.log(space.n) if hasattr(space, "n") else np.log(space.high - space.low).sum()
        return np.full(len(observations), -size, np.float32)

    def greedy(self, observations: np.ndarray) -> np.ndarray:
        return self._actions(len(observations), self._unasked)

    def arrays(self) -> dict[str, np.ndarray]:
        return {f"observations.{name}": values for name, values in self.moments._asdict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"unasked": self._unasked.bit_generator.state, **self.moments._asdict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._unasked.bit_generator.state = state["unasked"]
        for name, values in self.moments._asdict().items():
            values[:] = state[name]
