"""CartPole with rewards that a person can read.

Both are gymnasium's cart and pole (Barto, Sutton and Anderson 1983), for any user of gymnasium:
`gymnasium.make("active_rlhf.tasks.cartpole:CartPoleBalanced-v0")`. With `terminate=False` a cart
that failed stays where it is, without reward, until the episode's 500 steps are over: an absorbing
state (Kostrikov et al. 2019). Otherwise the length of an episode gives away what is good, whatever
reward was learned.
"""

from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

STEPS = 500
WIDTH, HEIGHT, FLOOR = 360, 200, 170  # pixels of a picture
PIXELS = 68.0  # a unit of length
SKY, GROUND, CART, POLE, FALLEN = (
    np.array(colour, np.uint8)
    for colour in ((246, 248, 250), (150, 160, 168), (52, 73, 94), (202, 120, 40), (190, 60, 50))
)


class CartPoleStandard(CartPoleEnv):
    """Reward 1 after each step at which the pole stands and the cart is on its track."""

    def __init__(self, terminate: bool = True, render_mode: str | None = None):
        super().__init__(render_mode=render_mode)
        self.terminate, self.failed = terminate, False

    def reward(self, x: float, x_dot: float, theta: float, theta_dot: float) -> float:
        """The reward of a state that has not failed."""
        return 1.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        self.failed = False
        return super().reset(seed=seed, options=options)

    def step(
        self, action: int | np.ndarray
    ) -> tuple[np.ndarray, SupportsFloat, bool, bool, dict[str, Any]]:
        if self.failed and not self.terminate:
            return np.array(self.state, np.float32), 0.0, False, False, {}
        observation, _, self.failed, truncated, info = super().step(action)
        assert self.state is not None
        reward = 0.0 if self.failed else self.reward(*map(float, self.state))
        return observation, reward, self.failed and self.terminate, truncated, info

    def render(self) -> Any:
        """With `render_mode="rgb_array"`, a picture uint8 [HEIGHT, WIDTH, 3], without pygame."""
        if self.render_mode != "rgb_array" or self.state is None:
            return super().render()
        x, _, theta, _ = map(float, self.state)
        across, down = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
        picture = np.broadcast_to(SKY, (HEIGHT, WIDTH, 3)).copy()
        picture[FLOOR : FLOOR + 2] = GROUND
        middle = WIDTH / 2 + PIXELS * x
        picture[(abs(across - middle) < 22) & (abs(down - FLOOR + 12) < 12)] = CART
        # The pole is what lies near the line from its axle to its tip.
        tip = 2 * self.length * PIXELS * np.array([np.sin(theta), -np.cos(theta)])
        place = np.stack([across - middle, down - (FLOOR - 24)], -1)
        along = np.clip(place @ tip / (tip @ tip), 0, 1)
        off = np.linalg.norm(place - along[..., None] * tip, axis=-1)
        picture[off < 4] = FALLEN if self.failed else POLE
        return picture


class CartPoleBalanced(CartPoleStandard):
    """Reward in 0..1 after each step: the mean of three terms, each 1 where all is still.

    - angle: 1 upright, 0 at the 12 degrees where the pole counts as fallen;
    - position: 1 in the middle, 0 at either end of the track, 2.4 away;
    - stability: 1 / (1 + speed^2 + angular speed^2), of cart and pole.
    """

    def terms(self, x: float, x_dot: float, theta: float, theta_dot: float) -> dict[str, float]:
        """The three terms of the reward, by name."""
        return {
            "angle": 1.0 - abs(theta) / self.theta_threshold_radians,
            "position": 1.0 - abs(x) / self.x_threshold,
            "stability": 1.0 / (1.0 + x_dot**2 + theta_dot**2),
        }

    def reward(self, x: float, x_dot: float, theta: float, theta_dot: float) -> float:
        terms = self.terms(x, x_dot, theta, theta_dot)
        return sum(terms.values()) / len(terms)


CARTPOLES = {
    "CartPoleStandard-v0": CartPoleStandard,
    "CartPoleBalanced-v0": CartPoleBalanced,
}


def register() -> None:
    """Make both known to gymnasium; nothing happens if they are already."""
    for name, made in CARTPOLES.items():
        if name not in gymnasium.registry:
            entry = f"{made.__module__}:{made.__qualname__}"
            gymnasium.register(name, entry_point=entry, max_episode_steps=STEPS)


register()
