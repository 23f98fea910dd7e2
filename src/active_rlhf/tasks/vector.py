"""Several tasks stepped together, one after the other in this process."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from active_rlhf.tasks import Task, VectorTask


class Alone:
    """A task as a `VectorTask` of one, wherever it is in its episode."""

    environments = 1

    def __init__(self, task: Task):
        self.task, self.name, self.horizon = task, task.name, task.horizon
        self.observation_space, self.action_space = task.observation_space, task.action_space
        self.executed = task.executed
        self.state_dict = task.state_dict

    @property
    def observations(self) -> np.ndarray:
        return self.task.observation[None]

    @property
    def elapsed(self) -> list[int]:
        return [self.task.elapsed]

    @property
    def origins(self) -> list[Mapping[str, Any] | None]:
        return [self.task.origin]

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        reward, terminated, truncated = self.task.step(actions[0])
        return np.array([reward], float), np.array([terminated]), np.array([truncated])

    def reset(self, lanes: np.ndarray) -> None:
        self.task.reset()

    def load_state_dict(
        self,
        state: Mapping[str, Any],
        actions: Sequence[np.ndarray],
        rewards: Sequence[np.ndarray],
    ) -> None:
        self.task.load_state_dict(state, actions[0], rewards[0])


def vector(task: Any) -> VectorTask:
    """Any task as a `VectorTask`."""
    return task if hasattr(task, "environments") else Alone(task)


class TasksInStep:
    """n tasks of one kind as a `VectorTask`.

    Each begins with a reset, so that its first episode too has an origin to be repeated from.
    """

    def __init__(self, tasks: Sequence[Task]):
        self.tasks, self.environments = list(tasks), len(tasks)
        first = self.tasks[0]
        self.name, self.horizon = first.name, first.horizon
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.executed = first.executed
        self.unobserved = getattr(first, "unobserved", None)
        for task in self.tasks:
            task.reset()

    @property
    def observations(self) -> np.ndarray:
        return np.array([task.observation for task in self.tasks])

    @property
    def elapsed(self) -> list[int]:
        return [task.elapsed for task in self.tasks]

    @property
    def origins(self) -> list[Mapping[str, Any] | None]:
        return [task.origin for task in self.tasks]

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = [task.step(action) for task, action in zip(self.tasks, actions, strict=True)]
        rewards, terminated, truncated = zip(*found, strict=True)
        return np.array(rewards, float), np.array(terminated, bool), np.array(truncated, bool)

    def reset(self, lanes: np.ndarray) -> None:
        for lane in lanes:
            self.tasks[lane].reset()

    def state_dict(self) -> dict[str, Any]:
        return {"tasks": [task.state_dict() for task in self.tasks]}

    def load_state_dict(
        self,
        state: Mapping[str, Any],
        actions: Sequence[np.ndarray],
        rewards: Sequence[np.ndarray],
    ) -> None:
        for task, own, *episode in zip(self.tasks, state["tasks"], actions, rewards, strict=True):
            task.load_state_dict(own, *episode)
