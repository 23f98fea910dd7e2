"""What the compiled rollout needs to know of gymnasium's running robots."""

from typing import Any

import numpy as np


def locomotion(env: Any) -> Any:
    """The numbers of a running robot's reward and observation, or None for any other task.

    Strict bounds of gymnasium become inclusive ones by moving to the next float.
    """
    from gymnasium.envs.mujoco.ant_v5 import AntEnv
    from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
    from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
    from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv

    from active_rlhf.tasks.mujoco.kernels import Locomotion

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
    from active_rlhf.tasks.mujoco.kernels import Physics

    model, data = env.model, env.data
    is_ant = hasattr(env, "_main_body")
    x = data.xpos[env._main_body, 0:1] if is_ant else data.qpos[0:1]
    forces = data.cfrc_ext.reshape(-1) if is_ant else np.empty(0)
    return Physics(model._address, data._address, data.qpos, data.qvel, data.ctrl, x, forces)
