"""The control tasks: gymnasium environments, and what the compiled rollout needs of them.

Any gymnasium environment with flat Box observations and actions can be used. Those whose reward
the kernel knows (the running robots below) are stepped inside compiled code, bit for bit the same;
others are stepped through gymnasium.
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Environment:
    description: str
    options: dict[str, Any]


_ALWAYS_RUN = {"terminate_when_unhealthy": False}

ENVIRONMENTS: dict[str, Environment] = {
    "HalfCheetah-v5": Environment("two-legged planar robot, run forward (17 obs, 6 act)", {}),
    "Hopper-v5": Environment("one-legged planar robot, hop forward (11 obs, 3 act)", _ALWAYS_RUN),
    "Walker2d-v5": Environment(
        "two-legged planar robot, walk forward (17 obs, 6 act)", _ALWAYS_RUN
    ),
    "Ant-v5": Environment("four-legged robot, walk forward (105 obs, 8 act)", _ALWAYS_RUN),
}


def _warn(message: str) -> None:
    """MuJoCo's warnings, which by default also go to a file in the working directory."""
    if "deprecated" not in message:  # the wording of gymnasium's own model files
        print(f"MuJoCo: {message}", file=sys.stderr)


def make(name: str) -> Any:
    """The unwrapped gymnasium environment and its time limit, as `(env, episode_length)`.

    Robots that may fall keep running (`terminate_when_unhealthy=False`), so that episodes end by
    truncation only and their length says nothing about the task.

    Raises ValueError for an unknown name or spaces that are not flat boxes.
    """
    import gymnasium
    import mujoco

    if ":" in name:
        raise ValueError(f"environment {name!r} would import a module; register it, name it alone")
    mujoco.set_mju_user_warning(_warn)
    options = ENVIRONMENTS[name].options if name in ENVIRONMENTS else {}
    try:
        wrapped = gymnasium.make(name, **options)
    except gymnasium.error.Error as error:
        raise ValueError(f"environment {name!r} cannot be made: {error}") from error
    limit = wrapped.spec.max_episode_steps if wrapped.spec else None
    env = wrapped.unwrapped
    for kind, space in (("observation", env.observation_space), ("action", env.action_space)):
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise ValueError(f"environment {name!r} needs a flat Box {kind} space, not {space}")
    if limit is None:
        raise ValueError(f"environment {name!r} has no episode length (max_episode_steps)")
    return env, limit


def locomotion(env: Any) -> Any:
    """The numbers of a running robot's reward and observation, or None for any other task.

    Strict bounds of gymnasium become inclusive ones by moving to the next float.
    """
    from gymnasium.envs.mujoco.ant_v5 import AntEnv
    from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
    from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
    from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv

    from active_rlhf.kernels import Locomotion

    inf = np.inf

    def inside(bounds: tuple[float, float]) -> tuple[float, float]:
        return float(np.nextafter(bounds[0], inf)), float(np.nextafter(bounds[1], -inf))

    z, angle, state, state_from, z_index = (-inf, inf), (-inf, inf), (-inf, inf), 0, 1
    kind = type(env)
    if kind is HalfCheetahEnv:
        healthy, velocity_limit, skipped = 0.0, inf, 1
    elif kind is HopperEnv:
        healthy, velocity_limit, skipped = env._healthy_reward, 10.0, 1
        z, angle = inside(env._healthy_z_range), inside(env._healthy_angle_range)
        state, state_from = inside(env._healthy_state_range), 2
    elif kind is Walker2dEnv:
        healthy, velocity_limit, skipped = env._healthy_reward, 10.0, 1
        z, angle = inside(env._healthy_z_range), inside(env._healthy_angle_range)
    elif kind is AntEnv and env._main_body == 1 and env._include_cfrc_ext_in_observation:
        healthy, velocity_limit, skipped, z_index = env._healthy_reward, inf, 2, 2
        z, state = env._healthy_z_range, inside((-inf, inf))
    else:
        return None
    if not env._exclude_current_positions_from_observation:
        return None
    contacts = kind is AntEnv
    force = env._contact_force_range if contacts else (-1.0, 1.0)
    return Locomotion(
        frame_skip=env.frame_skip,
        dt=float(env.dt),
        skipped=skipped,
        velocity_limit=velocity_limit,
        forward_weight=float(env._forward_reward_weight),
        control_weight=float(env._ctrl_cost_weight),
        healthy_reward=float(healthy),
        z_index=z_index,
        z_low=float(z[0]),
        z_high=float(z[1]),
        angle_low=float(angle[0]),
        angle_high=float(angle[1]),
        state_from=state_from,
        state_low=float(state[0]),
        state_high=float(state[1]),
        contact_weight=float(env._contact_cost_weight) if contacts else 0.0,
        force_low=float(force[0]),
        force_high=float(force[1]),
        has_contacts=contacts,
    )


def physics(env: Any) -> Any:
    """Addresses and views of a MuJoCo environment's state for the compiled rollout."""
    from active_rlhf.kernels import Physics

    model, data = env.model, env.data
    is_ant = hasattr(env, "_main_body")
    x = data.xpos[env._main_body, 0:1] if is_ant else data.qpos[0:1]
    forces = data.cfrc_ext.reshape(-1) if is_ant else np.empty(0)
    return Physics(model._address, data._address, data.qpos, data.qvel, data.ctrl, x, forces)
