"""What the agent acts in: tasks, and rollouts in them.

A task is an environment in the middle of an episode. Agents act in it (`Agent.act`) and return a
`Rollout`; the rest of a run sees tasks only through this protocol.
"""

from collections.abc import Mapping
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


def build(spec: "Spec", stream: np.random.Generator) -> Any:
    """The task of a run; `stream` seeds the task's own stream."""
    return made(spec.environment, int(stream.integers(2**31)), spec.options)


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
