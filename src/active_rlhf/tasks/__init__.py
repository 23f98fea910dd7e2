"""What the agent acts in: tasks, and rollouts in them.

A task is an environment in the middle of an episode; a vector task is several of them that are
stepped together. Agents act in it (`Agent.act`) and return a `Rollout`; the rest of a run sees
tasks only through these protocols.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from active_rlhf.errors import InputError

if TYPE_CHECKING:
    from active_rlhf.study.settings import Spec


class NotReproducible(InputError):
    """An environment does not repeat itself when given the same seed and actions."""


class Task(Protocol):
    """An environment in the middle of an episode, with its own random stream."""

    name: str
    horizon: int
    """Steps after which an episode is cut off."""
    elapsed: int
    """Steps of the current episode so far."""
    observation: np.ndarray
    """The current raw observation; float64 if the environment gives floating point."""
    origin: Mapping[str, Any] | None
    """State of `stream` at the start of the current episode; None for the very first one."""

    @property
    def stream(self) -> np.random.Generator:
        """The environment's own random numbers."""

    @property
    def observation_space(self) -> Any:
        """A gymnasium Box."""

    @property
    def action_space(self) -> Any:
        """A gymnasium Box (one-dimensional) or Discrete."""

    def reset(self) -> None:
        """Begin an episode."""

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        """Take one step with an action as sampled; returns true reward, terminated, truncated.

        It does not begin a new episode; `reset` does.
        """

    def executed(self, actions: np.ndarray) -> np.ndarray:
        """Sampled actions [..., a] as the environment receives them: clipped to its bounds."""

    def state_dict(self) -> dict[str, Any]:
        """How to restore this state, given the actions and rewards of the current episode."""

    def load_state_dict(
        self, state: Mapping[str, Any], actions: np.ndarray, rewards: np.ndarray
    ) -> None:
        """Bring a new task to the state of another one, by replaying the episode.

        Raises NotReproducible if the episode does not repeat itself bit for bit.
        """


def replay(task: Task, state: Mapping[str, Any], actions: np.ndarray, rewards: np.ndarray) -> None:
    """Take an episode's actions again, in a task at its start, to what `Task.state_dict` gave.

    Raises NotReproducible if rewards or the last observation are not the same to the bit.
    """
    same = True
    for action, expected in zip(actions, rewards, strict=True):
        reward, *_ = task.step(action)
        same = same and reward == expected
    if not same or not np.array_equal(task.observation, state["observation"]):
        raise NotReproducible(f"{task.name} does not repeat an episode bit for bit")


class VectorTask(Protocol):
    """n environments of one kind that are stepped together, each in an episode of its own."""

    name: str
    environments: int
    """n."""
    horizon: int
    """Steps after which an episode is cut off."""

    @property
    def observations(self) -> np.ndarray:
        """The current raw observations [n, ...]."""

    @property
    def elapsed(self) -> list[int]:
        """Steps of the current episodes so far."""

    @property
    def origins(self) -> list[Mapping[str, Any] | None]:
        """What the current episodes can be repeated from, in a task of one environment too: the
        state of its `stream` at their start."""

    @property
    def observation_space(self) -> Any:
        """Of one environment: a gymnasium Box."""

    @property
    def action_space(self) -> Any:
        """Of one environment: a gymnasium Box (one-dimensional) or Discrete."""

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take one step in each, with actions [n, ...] as sampled.

        Returns true rewards float64 [n], terminated and truncated bool [n]. Observations are then
        the last ones of the episodes that ended; `reset` begins new ones.
        """

    def reset(self, lanes: np.ndarray) -> None:
        """Begin an episode in these environments, int64 [k]."""

    def executed(self, actions: np.ndarray) -> np.ndarray:
        """Sampled actions [..., a] as the environments receive them: clipped to their bounds."""

    def state_dict(self) -> dict[str, Any]:
        """How to restore this state, given actions and rewards of the current episodes."""

    def load_state_dict(
        self,
        state: Mapping[str, Any],
        actions: Sequence[np.ndarray],
        rewards: Sequence[np.ndarray],
    ) -> None:
        """Bring a new task to the state of another one, by replaying each current episode.

        Raises NotReproducible if an episode does not repeat itself bit for bit.
        """


def build(spec: "Spec", stream: np.random.Generator) -> Any:
    """The task of a run; `stream` seeds the task's own stream."""
    return made(spec.environment, int(stream.integers(2**31)), spec.options)


def build_vector(spec: "Spec", stream: np.random.Generator, environments: int) -> VectorTask:
    """The task of a run whose agent acts in several environments in step; `stream` seeds them."""
    from active_rlhf.tasks.vector import TasksInStep

    seeds = stream.integers(2**31, size=environments).tolist()
    return TasksInStep([made(spec.environment, seed, spec.options) for seed in seeds])


def made(environment: str, seed: int, options: Mapping[str, Any] | None = None) -> Any:
    """A task by its name in a study: a declared part, an Atari game, or else a gymnasium
    environment."""
    from active_rlhf import parts
    from active_rlhf.tasks.atari import AtariTask, is_atari
    from active_rlhf.tasks.gym import GymTask

    if parts.declared("task", environment):
        return parts.part("task", environment).build(options or {}, seed)
    if is_atari(environment):
        return AtariTask(environment, seed, options)
    return GymTask(environment, seed, options)
