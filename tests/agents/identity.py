"""Something trivial to learn: the action should say what is observed (after SB3's tests)."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete

SIDE = 36  # pixels


class Identity(gymnasium.Env):
    """Ten steps in each of which the action should say what is observed: -1 or 1, or 0 or 1.

    As a picture, that is which half of it is bright.
    """

    def __init__(self, discrete: bool = True, picture: tuple[int, ...] = ()):
        self.action_space = Discrete(2) if discrete else Box(-1.0, 1.0, (1,), np.float32)
        flat = Box(-1.0, 1.0, (1,), np.float32)
        self.observation_space = Box(0, 255, picture, np.uint8) if picture else flat

    def reset(self, *, seed: int | None = None, options: Any = None):
        super().reset(seed=seed)
        return self._shown(), {}

    def _shown(self) -> np.ndarray:
        self.sign = 1 if self.np_random.random() < 0.5 else -1
        shape = self.observation_space.shape
        if len(shape) == 1:
            return np.array([self.sign], np.float32)
        picture = np.zeros(shape, np.uint8)
        upper = picture[: SIDE // 2] if shape[0] == SIDE else picture[:, : SIDE // 2]
        upper[:] = 255 * (self.sign > 0)
        return picture

    def step(self, action: Any):
        wanted = (self.sign + 1) // 2 if isinstance(self.action_space, Discrete) else self.sign
        reward = -abs(float(np.squeeze(action)) - wanted)
        return self._shown(), reward, False, False, {}


class Both(Identity):
    """With two choices at once, which no agent makes."""

    def __init__(self):
        super().__init__()
        self.action_space = MultiDiscrete([2, 2])


PICTURES = {
    "IdentityPlanes-v0": (2, SIDE, SIDE),
    "IdentityGray-v0": (SIDE, SIDE),
    "IdentityColour-v0": (SIDE, SIDE, 3),
}
gymnasium.register("Identity-v0", Identity, max_episode_steps=10)
gymnasium.register("IdentityBox-v0", Identity, max_episode_steps=10, kwargs={"discrete": False})
for name, shape in PICTURES.items():
    gymnasium.register(name, Identity, max_episode_steps=10, kwargs={"picture": shape})
gymnasium.register(
    "IdentityTiny-v0", Identity, max_episode_steps=10, kwargs={"picture": (20, 40, 3)}
)
gymnasium.register("IdentityBoth-v0", Both, max_episode_steps=10)
