"""What agents with networks in torch have in common: all but how they learn."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from active_rlhf.agents.actor_critic import actor_critic
from active_rlhf.agents.saved import bounds
from active_rlhf.agents.settings import NetworkSettings
from active_rlhf.compute import modules
from active_rlhf.tasks import Task, VectorTask
from active_rlhf.tasks.rollout import Rollout, collect_in_step
from active_rlhf.tasks.vector import vector


class TorchAgent:
    """Acts by a network in one environment or in several in step.

    A subclass gives it an `optimiser`, and `act` and `learn`.
    """

    optimiser: torch.optim.Optimizer

    def __init__(self, task: Any, settings: NetworkSettings, stream: np.random.Generator):
        torch.set_num_threads(1)  # a run is one
        self.model = actor_critic(task, settings, stream)
        self._bounds = bounds(task.action_space)

    @property
    def moments(self) -> Any:
        return self.model.moments

    @torch.no_grad()
    def _rollout(
        self,
        task: Task | VectorTask,
        steps: int,
        stream: np.random.Generator | None,
        policy: Callable[[torch.Tensor, int], torch.Tensor],
    ) -> tuple[Rollout, torch.Tensor]:
        """A rollout, and what the network sees of the observations [c, ...] that its `cut` steps
        led to.

        policy: gives its outputs [n, k] for what it sees [n, ...] at time t. Without a stream it
        acts greedily; else every observation met counts once in the moments.
        """
        model, tasks = self.model, vector(task)
        n = tasks.environments
        noise = None
        if stream is not None:
            noise = model.head.noise(stream, steps).reshape(steps // n, n, -1)
            if model.uncounted():
                model.count(tasks.observations)
        ends: dict[int, torch.Tensor] = {}  # by row: what the network sees of final observations

        def action(observations: np.ndarray, t: int) -> np.ndarray:
            outputs = policy(model.see(observations), t)
            return model.head.action(outputs, None if noise is None else noise[t])

        def met(observations: np.ndarray, ended: np.ndarray, t: int) -> None:
            if stream is not None:
                model.count(observations)
            over = np.flatnonzero(ended)
            if over.size:
                rows = over * (steps // n) + t
                ends.update(zip(rows.tolist(), model.see(observations[over]), strict=True))

        def began(observations: np.ndarray) -> None:
            if stream is not None:
                model.count(observations)

        rollout = collect_in_step(tasks, steps, action, met, began)
        lasts = range(steps // n - 1, steps, steps // n)
        for row, seen in zip(lasts, model.see(tasks.observations), strict=True):
            ends.setdefault(row, seen)
        return rollout, torch.stack([ends[row] for row in np.flatnonzero(rollout.cut).tolist()])

    @torch.no_grad()
    def _next_values(
        self, rollout: Rollout, values: np.ndarray, beyond: torch.Tensor
    ) -> np.ndarray:
        """Values [T] of what each step led to; beyond: as of `_acted`."""
        # Within an episode the following value is the next one; only cuts are different.
        following = np.append(values[1:], np.float32(0))
        following[rollout.cut] = self.model.value(beyond).numpy()
        return following

    def log_probabilities(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.model.log_probabilities(observations, actions)
        return found

    def greedy(self, observations: np.ndarray) -> np.ndarray:
        actions: np.ndarray = self.model.greedy(observations)
        return actions

    def arrays(self) -> dict[str, np.ndarray]:
        return self.model.arrays() | self._bounds

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"model": modules.state(self.model, self.optimiser)}
        return state | ({"moments": self.moments._asdict()} if self.moments else {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        modules.load_state(self.model, self.optimiser, state["model"])
        if self.moments:
            for name, array in self.moments._asdict().items():
                array[:] = state["moments"][name]
