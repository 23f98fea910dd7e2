"""A task: a gymnasium environment, registered under an id.

In a study:

    parts: [template_name.py]
    environments: {TemplateName-v0: {options: {friction: 0.2}}}
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box


class TemplateName(gymnasium.Env[np.ndarray, np.ndarray]):
    """A mass on a line that should come to rest at 0."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, friction: float = 0.1):  # keyword arguments are a study's `options`
        self.friction = friction

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        # Draw all random numbers from self.np_random, or a run cannot be resumed exactly.
        self.state = self.np_random.uniform(-1, 1, 2)
        return self.state.copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        place, speed = self.state
        speed += 0.1 * (float(action[0]) - self.friction * speed)
        self.state = np.array([place + 0.1 * speed, speed])
        reward = -float(place**2 + 0.1 * speed**2)
        # A terminated episode is over for good; max_episode_steps below only cuts it off.
        return self.state.copy(), reward, False, False, {}


gymnasium.register("TemplateName-v0", entry_point=f"{__name__}:TemplateName", max_episode_steps=200)
