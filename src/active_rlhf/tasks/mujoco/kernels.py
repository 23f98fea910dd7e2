"""The running robots, compiled: MuJoCo's step with the policy in the loop.

Arithmetic for rewards and observations follows numpy's order of operations, so a rollout equals
gymnasium's bit for bit; `agents.ppo.rollout.step_by_step` is the readable counterpart.
"""

from collections import namedtuple
from pathlib import Path

import llvmlite.binding as llvm
import mujoco
import numpy as np
from numba import types

from active_rlhf.agents.kernels import layer, normalise, tanh
from active_rlhf.compute.compilation import compiled

_LIBRARY = next(Path(mujoco.__file__).parent.glob("libmujoco*.[sd][oy]*"))
llvm.load_library_permanently(str(_LIBRARY))

# By name rather than by address, which would change in every process and defeat the cache.
mj_step = types.ExternalFunction("mj_step", types.void(types.intp, types.intp))
mj_rne_post_constraint = types.ExternalFunction(
    "mj_rnePostConstraint", types.void(types.intp, types.intp)
)

Locomotion = namedtuple(
    "Locomotion",
    "frame_skip dt skipped velocity_limit forward_weight control_weight healthy_reward "
    "terminates z_index z_low z_high angle_low angle_high state_from state_low state_high "
    "contact_weight force_low force_high has_contacts",
)
Locomotion.__doc__ = """The reward and observation of gymnasium's running robots, as numbers."""

Physics = namedtuple("Physics", "model data qpos qvel ctrl x forces")
Physics.__doc__ = """Addresses of MuJoCo's model and data, and views of the arrays in them."""

Fused = namedtuple("Fused", "physics locomotion low high")
Fused.__doc__ = """A robot that compiled code can step, with the bounds of its actions [a],
float32."""


@compiled
def pairwise_sum(x):
    """Sum of at most 128 float64 numbers in the order of `numpy.sum`."""
    n = x.size
    if n < 8:
        total = 0.0
        for i in range(n):
            total += x[i]
        return total
    r0, r1, r2, r3, r4, r5, r6, r7 = x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
    whole = n - n % 8
    for i in range(8, whole, 8):
        r0 += x[i]
        r1 += x[i + 1]
        r2 += x[i + 2]
        r3 += x[i + 3]
        r4 += x[i + 4]
        r5 += x[i + 5]
        r6 += x[i + 6]
        r7 += x[i + 7]
    total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    for i in range(whole, n):
        total += x[i]
    return total


@compiled
def _observe(physics, task, out):
    k = 0
    for i in range(task.skipped, physics.qpos.size):
        out[k] = physics.qpos[i]
        k += 1
    for i in range(physics.qvel.size):
        out[k] = min(max(physics.qvel[i], -task.velocity_limit), task.velocity_limit)
        k += 1
    if task.has_contacts:
        for i in range(6, physics.forces.size):  # the first body is the world
            out[k] = min(max(physics.forces[i], task.force_low), task.force_high)
            k += 1


@compiled
def _healthy(physics, task):
    qpos, qvel = physics.qpos, physics.qvel
    z, angle = qpos[task.z_index], qpos[2]
    if not (task.z_low <= z <= task.z_high and task.angle_low <= angle <= task.angle_high):
        return False
    for i in range(task.state_from, qpos.size):
        if not task.state_low <= qpos[i] <= task.state_high:
            return False
    for i in range(qvel.size):  # noqa: SIM110
        if not task.state_low <= qvel[i] <= task.state_high:
            return False
    return True


@compiled
def _step(physics, task, squares, force_squares):
    """One environment step with the control already set; true reward, and whether it terminated."""
    before = physics.x[0]
    for _ in range(task.frame_skip):
        mj_step(physics.model, physics.data)
    if task.has_contacts:
        mj_rne_post_constraint(physics.model, physics.data)
    reward = task.forward_weight * ((physics.x[0] - before) / task.dt)
    fallen = False
    if task.healthy_reward != 0.0 or task.terminates:
        if _healthy(physics, task):
            reward += task.healthy_reward
        else:
            fallen = True
    for i in range(squares.size):
        squares[i] = physics.ctrl[i] * physics.ctrl[i]
    cost = task.control_weight * pairwise_sum(squares)
    if task.has_contacts:
        for i in range(force_squares.size):
            force = min(max(physics.forces[i], task.force_low), task.force_high)
            force_squares[i] = force * force
        cost += task.contact_weight * pairwise_sum(force_squares)
    return reward - cost, fallen and task.terminates


@compiled
def rollout(robot, actor, noise, moments, learning, start, stop, raw, out):
    """Steps `start` to `stop` of a rollout, or to where the episode terminates before.

    robot: a Fused. `raw` [o] float64 is the current observation, whose normalised form is already
    in `out.normalised[start]`; both move on, so that on return `raw` and `out.normalised[stop]`
    hold what follows the last step. `noise` [T, a] is added to the action mean: sampled actions go
    to `out.actions`, clipped ones to the robot. Returns where it stopped, and whether the episode
    terminated there.
    """
    physics = robot.physics
    h1 = np.empty(actor.b1.size, np.float32)
    h2 = np.empty(actor.b2.size, np.float32)
    mean = np.empty(actor.b3.size, np.float32)
    squares = np.empty(mean.size)
    force_squares = np.empty(physics.forces.size)
    for t in range(start, stop):
        for i in range(raw.size):
            out.observations[t, i] = raw[i]
        layer(out.normalised[t], actor.w1, actor.b1, h1)
        tanh(h1)
        layer(h1, actor.w2, actor.b2, h2)
        tanh(h2)
        layer(h2, actor.w3, actor.b3, mean)
        for j in range(mean.size):
            action = mean[j] + noise[t, j]
            out.actions[t, j] = action
            physics.ctrl[j] = min(max(action, robot.low[j]), robot.high[j])
        out.rewards[t], terminated = _step(physics, robot.locomotion, squares, force_squares)
        _observe(physics, robot.locomotion, raw)
        normalise(raw, moments, learning, out.normalised[t + 1])
        if terminated:
            return t + 1, True
    return stop, False
