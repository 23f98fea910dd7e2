"""What it acts in: tasks and rollouts in them.

A task is an environment in mid-episode. Agents act in it (`Agent.act`) and give back a `Rollout`;
everything else of a run sees tasks only through this protocol.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from active_rlhf.errors import InputError

if TYPE_CHECKING:
    from active_rlhf.study.settings import Spec


class NotReproducible(InputError):
    """An environment behaves differently when it is asked to do the same again."""


class Task(Protocol):
    """An environment in mid-episode, with a random stream of its own."""

    name: str
    horizon: int
    """Steps after which an episode is cut off at the latest."""
    elapsed: int
    """Steps of the present episode."""
    observation: np.ndarray
    """The present raw observation; float64 where the environment gives floating point."""
    origin: Mapping[str, Any] | None
    """State of `stream` from which the present episode was begun; None for the very first one."""

    @property
    def stream(self) -> np.random.Generator:
        """The environment's own chance."""

    @property
    def observation_space(self) -> Any:
        """A gymnasium Box."""

    @property
    def action_space(self) -> Any:
        """A gymnasium Box (one-dimensional) or Discrete."""

    def reset(self) -> None:
        """Begin an episode."""

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        """Do one step with an action as sampled; true reward, terminated, truncated.

        The episode is not begun anew at its end; that is `reset`'s.
        """

    def executed(self, actions: np.ndarray) -> np.ndarray:
        """Sampled actions [..., a] as the environment takes them: clipped to its bounds."""

    def state_dict(self) -> dict[str, Any]:
        """How to come back to here, given the actions and rewards of the present episode."""

    def load_state_dict(
        self, state: Mapping[str, Any], actions: np.ndarray, rewards: np.ndarray
    ) -> None:
        """Bring a new task to where another one was, by living through the episode again.

        Raises NotReproducible if the episode does not repeat itself bit for bit.
        """


def build(spec: "Spec", stream: np.random.Generator) -> Any:
    """The task of a run; `stream` gives the seed of its own."""
    return made(spec.environment, int(stream.integers(2**31)), spec.options)


def made(environment: str, seed: int, options: Mapping[str, Any] | None = None) -> Any:
    """A task by the name a study has for it: a declared part, or else a gymnasium environment."""
    from active_rlhf import parts
    from active_rlhf.tasks.gym import GymTask

    if parts.declared("task", environment):
        return parts.part("task", environment).build(options or {}, seed)
    return GymTask(environment, seed, options)
