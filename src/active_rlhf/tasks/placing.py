"""Putting a simulator into a state that is given as an observation, to see what it pays there.

Only where an observation tells everything that the next reward depends on: gymnasium's cart and
pole, and its running robots. A robot's place on the floor is not observed and does not matter to
it. What an observation leaves out or rounds (float32; the velocities of Hopper and Walker2d beyond
10; the solver's memory of contacts) makes rewards differ a little from those of the run.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv

from active_rlhf.tasks import Task

SPEED = 2.0  # metres a second, of a robot that runs
SETTLING = 1000  # steps after which a robot that was dropped lies still


class Place(Protocol):
    """A simulator that can be put into a state."""

    @property
    def names(self) -> Mapping[int, str]:
        """What some dimensions of an observation are."""

    @property
    def dimensions(self) -> tuple[int, int]:
        """The two that tell most about a state."""

    @property
    def grid(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Values of these two that, with 0 for the others, are all states worth seeing; None where
        most such states are none that the environment can be in."""

    def states(self) -> dict[str, np.ndarray]:
        """Observations of states that have a name."""

    def reward(self, observation: np.ndarray, action: np.ndarray) -> float:
        """The true reward of the step from this raw observation with this action as sampled."""


def place(task: Task) -> Place | None:
    """The place of a task; None for one whose state an observation does not tell."""
    env = getattr(getattr(task, "env", None), "unwrapped", None)
    if isinstance(env, CartPoleEnv):
        return CartPole(task, env)
    if getattr(task, "unobserved", None) is not None:
        return Robot(task)
    return None


class CartPole:
    """Cart and pole. A state beyond the track's end, or with the pole fallen, pays nothing."""

    names: Mapping[int, str] = {0: "position", 1: "speed", 2: "angle", 3: "angular speed"}
    dimensions = 0, 2

    def __init__(self, task: Any, env: CartPoleEnv):
        self.task, self.env = task, env
        self.ends = np.array([env.x_threshold, np.inf, env.theta_threshold_radians, np.inf])
        x, angle = env.x_threshold, env.theta_threshold_radians
        self.grid = np.linspace(-x, x, 43)[1:-1], np.linspace(-angle, angle, 43)[1:-1]  # within

    def states(self) -> dict[str, np.ndarray]:
        x, angle = self.ends[[0, 2]]
        return {
            "centred": np.zeros(4),
            "off-centre": np.array([0.75 * x, 0, 0, 0]),
            "tilted": np.array([0, 0, 0.75 * angle, 0]),
            "spinning": np.array([0, 0, 0, 2.0]),
        }

    def reward(self, observation: np.ndarray, action: np.ndarray) -> float:
        if (np.abs(observation) > self.ends).any():
            return 0.0
        self.env.reset()  # of what it remembers of a fall
        self.env.state = np.array(observation, np.float64)
        return float(self.task.env.step(self.task.control(action))[1])


class Robot:
    """One of gymnasium's running robots."""

    grid = None

    def __init__(self, task: Any):
        self.task, self.env, self.unseen = task, task.env, task.unobserved
        speed = self.env.model.nq - self.unseen
        self.dimensions = 0, speed
        self.names: Mapping[int, str] = {0: "height", speed: "forward speed"}

    def _put(self, positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
        """Put it there; returns what is observed."""
        import mujoco

        mujoco.mj_resetData(self.env.model, self.env.data)
        self.env.set_state(positions, velocities)
        return np.array(self.env._get_obs())

    def states(self) -> dict[str, np.ndarray]:
        """Standing as at the start of episodes; the same at SPEED; and lying on the floor, turned
        over as far as it goes, after it was dropped."""
        import mujoco

        model, data = self.env.model, self.env.data
        still, running = np.zeros(model.nv), np.zeros(model.nv)
        running[0] = SPEED
        upright = np.array(self.env.init_qpos)
        lying = upright.copy()
        if model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
            lying[3:7] = 0, 1, 0, 0  # half a turn about the axis that points forward
        else:
            lying[2] = np.pi if isinstance(self.env, HalfCheetahEnv) else np.pi / 2
        found = {
            "standing": self._put(upright, still),
            "running": self._put(upright, running),
        }
        self._put(lying, still)
        mujoco.mj_step(model, data, nstep=SETTLING * self.env.frame_skip)
        return found | {"fallen": self._put(data.qpos.copy(), data.qvel.copy())}

    def reward(self, observation: np.ndarray, action: np.ndarray) -> float:
        model = self.env.model
        seen = np.asarray(observation, np.float64)
        positions = np.array(self.env.init_qpos)
        positions[self.unseen :] = seen[: model.nq - self.unseen]
        self._put(positions, seen[model.nq - self.unseen :][: model.nv])
        return float(self.env.step(self.task.control(action))[1])
