"""A task that is seen in pictures only, and what it shows."""

from typing import Any

import gymnasium
import numpy as np

SIZE = 24


class Dot(gymnasium.Env):
    """A dot pushed about by wind, of which only the speed is observed. Its picture shows where it
    is; it may leave the picture, which ends the episode."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None):
        super().reset(seed=seed)
        self.place, self.speed = np.full(2, SIZE / 2), self.np_random.normal(size=2) / 4
        return self.speed.copy(), {}

    def step(self, action: np.ndarray):
        self.speed += 0.1 * action + 0.1 * self.np_random.normal(size=2)
        self.place += 0.2 * self.speed
        gone = bool((self.place < 0).any() or (self.place >= SIZE).any())
        return self.speed.copy(), float(self.speed[0]), gone, False, {}

    def picture(self) -> np.ndarray:
        picture = np.full((SIZE, SIZE, 3), (250, 240, 230), np.uint8)
        x, y = self.place.astype(int).clip(0, SIZE - 1)
        picture[y, x] = (10, 20, 30 + 2 * x)
        return picture

    def render(self) -> np.ndarray | None:
        return self.picture() if self.render_mode == "rgb_array" else None


class Unseen(Dot):
    """The same, which nobody can see."""

    metadata = {"render_modes": []}  # noqa: RUF012


gymnasium.register("Dot-v0", Dot, max_episode_steps=90)
gymnasium.register("Unseen-v0", Unseen, max_episode_steps=90)
