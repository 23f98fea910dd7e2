"""What the compiled rollout needs to know of gymnasium's running robots.

A `Robot` states in numbers how its environment turns MuJoCo's state into observation, reward and
health. It is exact only for the classes named here: a derived class may behave differently, and is
stepped through gymnasium.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv

from active_rlhf.tasks.mujoco.kernels import Fused, Locomotion, Physics

INF = float("inf")
Bounds = tuple[float, float]


def _inside(bounds: Bounds) -> Bounds:
    """gymnasium's strict bounds as inclusive ones: the next float on the inner side."""
    return float(np.nextafter(bounds[0], INF)), float(np.nextafter(bounds[1], -INF))


@dataclass(frozen=True)
class Robot:
    """A class of environments. Bounds are functions of the environment, whose options set them.

    skipped: leading positions that are not observed; velocity_limit: to which observed velocities
    are clipped; z_index: position that is the height; state_from: first position of the checked
    state; falls: whether it can be unhealthy; contacts: whether contact forces are observed, and
    cost.
    """

    kind: type
    skipped: int = 1
    velocity_limit: float = INF
    z_index: int = 1
    z: Callable[[Any], Bounds] = lambda env: (-INF, INF)
    angle: Callable[[Any], Bounds] = lambda env: (-INF, INF)
    state: Callable[[Any], Bounds] = lambda env: (-INF, INF)
    state_from: int = 0
    falls: bool = True
    contacts: bool = False
    usual: Callable[[Any], bool] = lambda env: True
    """Whether an environment with its options still behaves as described here."""


ROBOTS = (
    Robot(HalfCheetahEnv, falls=False),
    Robot(
        HopperEnv,
        velocity_limit=10.0,
        z=lambda env: _inside(env._healthy_z_range),
        angle=lambda env: _inside(env._healthy_angle_range),
        state=lambda env: _inside(env._healthy_state_range),
        state_from=2,
    ),
    Robot(
        Walker2dEnv,
        velocity_limit=10.0,
        z=lambda env: _inside(env._healthy_z_range),
        angle=lambda env: _inside(env._healthy_angle_range),
    ),
    Robot(
        AntEnv,
        skipped=2,
        z_index=2,
        z=lambda env: env._healthy_z_range,
        state=lambda env: _inside((-INF, INF)),
        contacts=True,
        usual=lambda env: env._main_body == 1 and env._include_cfrc_ext_in_observation,
    ),
)


def unobserved(env: Any) -> int | None:
    """How many positions, the leading ones, an unwrapped environment's observations leave out; None
    if they may leave out more. Observations begin with the other positions, then velocities."""
    robot = next((robot for robot in ROBOTS if type(env) is robot.kind), None)
    if robot is None:
        return None
    return robot.skipped if env._exclude_current_positions_from_observation else 0


def fused(env: Any) -> Fused | None:
    """What the compiled rollout steps in place of an unwrapped environment; None if it cannot."""
    robot = next((robot for robot in ROBOTS if type(env) is robot.kind), None)
    if (
        robot is None
        or not robot.usual(env)
        or not env._exclude_current_positions_from_observation
        or not np.isfinite(env.action_space.low).all()
        or not np.isfinite(env.action_space.high).all()
    ):
        return None
    low, high = (
        bound.astype(np.float32) for bound in (env.action_space.low, env.action_space.high)
    )
    return Fused(_physics(env, robot), _locomotion(env, robot), low, high)


def _locomotion(env: Any, robot: Robot) -> Locomotion:
    z, angle, state = robot.z(env), robot.angle(env), robot.state(env)
    force = env._contact_force_range if robot.contacts else (-1.0, 1.0)
    return Locomotion(
        frame_skip=env.frame_skip,
        dt=float(env.dt),
        skipped=robot.skipped,
        velocity_limit=robot.velocity_limit,
        forward_weight=float(env._forward_reward_weight),
        control_weight=float(env._ctrl_cost_weight),
        healthy_reward=float(env._healthy_reward) if robot.falls else 0.0,
        terminates=bool(robot.falls and env._terminate_when_unhealthy),
        z_index=robot.z_index,
        z_low=float(z[0]),
        z_high=float(z[1]),
        angle_low=float(angle[0]),
        angle_high=float(angle[1]),
        state_from=robot.state_from,
        state_low=float(state[0]),
        state_high=float(state[1]),
        contact_weight=float(env._contact_cost_weight) if robot.contacts else 0.0,
        force_low=float(force[0]),
        force_high=float(force[1]),
        has_contacts=robot.contacts,
    )


def _physics(env: Any, robot: Robot) -> Physics:
    """Addresses and views of a MuJoCo environment's state."""
    model, data = env.model, env.data
    x = data.xpos[env._main_body, 0:1] if robot.contacts else data.qpos[0:1]
    forces = data.cfrc_ext.reshape(-1) if robot.contacts else np.empty(0)
    return Physics(model._address, data._address, data.qpos, data.qvel, data.ctrl, x, forces)
