"""Compiled inner loops: physics with the policy in it, batch evaluation, and the PPO update.

Everything here has a readable counterpart (`rollout.step_gymnasium`, `ppo.update_eager`) against
which the tests compare it. numba needs no C compiler and caches its machine code on disk, keyed by
the CPU, so that a run starts in well under a second once any run on the machine has been made.

Arithmetic that decides a reward or an observation follows numpy's order of operations, so a rollout
replays gymnasium bit for bit.
"""

from collections import namedtuple
from pathlib import Path

import llvmlite.binding as llvm
import mujoco
import numpy as np

# The BLAS behind numba's np.dot, loaded now so that limits on threads reach it.
import scipy.linalg.cython_blas  # noqa: F401
from numba import types

from active_rlhf.compilation import compiled

_LIBRARY = next(Path(mujoco.__file__).parent.glob("libmujoco*.[sd][oy]*"))
llvm.load_library_permanently(str(_LIBRARY))

# By name rather than by address: an address would change in every process and defeat the cache.
mj_step = types.ExternalFunction("mj_step", types.void(types.intp, types.intp))
mj_rne_post_constraint = types.ExternalFunction(
    "mj_rnePostConstraint", types.void(types.intp, types.intp)
)

Network = namedtuple("Network", "w1 b1 w2 b2 w3 b3")
Network.__doc__ = """Two hidden layers; weights are [inputs, outputs], float32."""

Locomotion = namedtuple(
    "Locomotion",
    "frame_skip dt skipped velocity_limit forward_weight control_weight healthy_reward "
    "z_index z_low z_high angle_low angle_high state_from state_low state_high "
    "contact_weight force_low force_high has_contacts",
)
Locomotion.__doc__ = """The reward and observation of gymnasium's running robots, as numbers."""

Physics = namedtuple("Physics", "model data qpos qvel ctrl x forces")
Physics.__doc__ = """Addresses of MuJoCo's model and data, and views of the arrays in them."""

_F = np.float32
_ONE, _TWO = _F(1), _F(2)
_LIMIT, _QUARTER = _F(9), _F(0.25)
_N1, _N2, _N3 = _F(21), _F(1260), _F(10395)
_D1, _D2, _D3 = _F(210), _F(4725), _F(10395)
_LOG_2PI = _F(np.log(2 * np.pi))
OBSERVATION_CLIP = 10.0
VARIANCE_FLOOR = 1e-8


@compiled
def tanh(x):
    """Replace the float32 array `x` by its tanh, within 2e-7.

    Lambert's continued fraction at a quarter of the argument, doubled twice: unlike the library
    function it has no branches, so the compiler vectorises it.
    """
    flat = x.ravel()
    for i in range(flat.size):
        y = min(max(flat[i], -_LIMIT), _LIMIT) * _QUARTER
        q = y * y
        t = y * (_N3 + q * (_N2 + q * _N1)) / (_D3 + q * (_D2 + q * (_D1 + q)))
        t = _TWO * t / (_ONE + t * t)
        flat[i] = _TWO * t / (_ONE + t * t)


@compiled
def _layer(x, w, b, out):
    for j in range(out.size):
        out[j] = b[j]
    for i in range(x.size):
        for j in range(out.size):
            out[j] += x[i] * w[i, j]


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
def normalise(raw, moments, learning, out):
    """Write the normalised form of the observation `raw` to `out`, counting it first if `learning`.

    The same arithmetic as gymnasium's NormalizeObservation, then clipped to +-10.
    """
    n = moments.count[0]
    total = n + 1.0
    for i in range(raw.size):
        if learning:
            delta = raw[i] - moments.mean[i]
            moments.mean[i] += delta / total
            moments.var[i] = (moments.var[i] * n + delta * delta * n / total) / total
        z = (raw[i] - moments.mean[i]) / np.sqrt(moments.var[i] + VARIANCE_FLOOR)
        out[i] = min(max(z, -OBSERVATION_CLIP), OBSERVATION_CLIP)
    if learning:
        moments.count[0] = total


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
    """One environment step with the control already set; returns the true reward."""
    before = physics.x[0]
    for _ in range(task.frame_skip):
        mj_step(physics.model, physics.data)
    if task.has_contacts:
        mj_rne_post_constraint(physics.model, physics.data)
    reward = task.forward_weight * ((physics.x[0] - before) / task.dt)
    if task.healthy_reward != 0.0 and _healthy(physics, task):
        reward += task.healthy_reward
    for i in range(squares.size):
        squares[i] = physics.ctrl[i] * physics.ctrl[i]
    cost = task.control_weight * pairwise_sum(squares)
    if task.has_contacts:
        for i in range(force_squares.size):
            force = min(max(physics.forces[i], task.force_low), task.force_high)
            force_squares[i] = force * force
        cost += task.contact_weight * pairwise_sum(force_squares)
    return reward - cost


@compiled
def rollout(physics, task, actor, noise, low, high, moments, learning, start, stop, raw, out):
    """Steps `start` to `stop` of a rollout inside one episode.

    `raw` [o] float64 is the current observation, whose normalised form is already in
    `out.normalised[start]`; both move on, so that on return `raw` and `out.normalised[stop]` hold
    what follows the last step. `noise` [T, a] is added to the action mean: sampled actions go to
    `out.actions`, clipped ones to the robot.
    """
    h1 = np.empty(actor.b1.size, np.float32)
    h2 = np.empty(actor.b2.size, np.float32)
    mean = np.empty(actor.b3.size, np.float32)
    squares = np.empty(mean.size)
    force_squares = np.empty(physics.forces.size)
    for t in range(start, stop):
        for i in range(raw.size):
            out.observations[t, i] = raw[i]
        _layer(out.normalised[t], actor.w1, actor.b1, h1)
        tanh(h1)
        _layer(h1, actor.w2, actor.b2, h2)
        tanh(h2)
        _layer(h2, actor.w3, actor.b3, mean)
        for j in range(mean.size):
            action = mean[j] + noise[t, j]
            out.actions[t, j] = action
            physics.ctrl[j] = min(max(action, low[j]), high[j])
        out.rewards[t] = _step(physics, task, squares, force_squares)
        _observe(physics, task, raw)
        normalise(raw, moments, learning, out.normalised[t + 1])


@compiled
def _add_bias(x, b):
    for i in range(x.shape[0]):
        for j in range(b.size):
            x[i, j] += b[j]


@compiled
def _forward(x, net, h1, h2, out):
    np.dot(x, net.w1, h1)
    _add_bias(h1, net.b1)
    tanh(h1)
    np.dot(h1, net.w2, h2)
    _add_bias(h2, net.b2)
    tanh(h2)
    np.dot(h2, net.w3, out)
    _add_bias(out, net.b3)


@compiled
def column_sums(x, out):
    out[:] = 0
    for i in range(x.shape[0]):
        for j in range(out.size):
            out[j] += x[i, j]


@compiled
def _through_tanh(gradient, h):
    a, b = gradient.ravel(), h.ravel()
    for i in range(a.size):
        a[i] *= _ONE - b[i] * b[i]


@compiled
def _backward(x, net, h1, h2, g_out, g_h1, g_h2, grad):
    np.dot(h2.T, g_out, grad.w3)
    column_sums(g_out, grad.b3)
    np.dot(g_out, net.w3.T, g_h2)
    _through_tanh(g_h2, h2)
    np.dot(h1.T, g_h2, grad.w2)
    column_sums(g_h2, grad.b2)
    np.dot(g_h2, net.w2.T, g_h1)
    _through_tanh(g_h1, h1)
    np.dot(x.T, g_h1, grad.w1)
    column_sums(g_h1, grad.b1)


@compiled
def network(x, net):
    """Outputs [n, k] of a network for float32 inputs [n, o]."""
    h1 = np.empty((x.shape[0], net.b1.size), np.float32)
    h2 = np.empty((x.shape[0], net.b2.size), np.float32)
    out = np.empty((x.shape[0], net.b3.size), np.float32)
    _forward(x, net, h1, h2, out)
    return out


@compiled
def log_probabilities(means, log_std, actions):
    """Log density [n] of `actions` [n, a] under independent normals."""
    out = np.empty(means.shape[0], np.float32)
    for i in range(means.shape[0]):
        total = _F(0)
        for j in range(log_std.size):
            z = (actions[i, j] - means[i, j]) * np.exp(-log_std[j])
            total -= _F(0.5) * (z * z + _LOG_2PI) + log_std[j]
        out[i] = total
    return out


@compiled
def generalised_advantages(rewards, values, next_values, ended, terminated, gamma, lam):
    """GAE (Schulman et al. 2016, eq. 16) over a rollout that may hold several episodes.

    All arrays [T]. `next_values[t]` is the value of the observation that followed step t, which at
    the end of an episode is its final observation, not the first of the next episode: a truncated
    episode bootstraps from it, a terminated one from zero.
    """
    advantages = np.empty(rewards.size, np.float32)
    running = 0.0
    for t in range(rewards.size - 1, -1, -1):
        future = 0.0 if terminated[t] else next_values[t]
        delta = rewards[t] + gamma * future - values[t]
        running = delta + (0.0 if ended[t] else gamma * lam * running)
        advantages[t] = running
    return advantages


@compiled
def clip_gradient(grad, max_norm):
    norm = np.sqrt(np.dot(grad, grad))
    if norm > max_norm:
        grad *= _F(max_norm / (norm + 1e-6))
    return norm


@compiled
def adam(theta, grad, first, second, step, learning_rate, epsilon):
    """One Adam step in place (Kingma & Ba 2015, algorithm 1, betas .9 and .999)."""
    b1, b2 = _F(0.9), _F(0.999)
    rate = _F(learning_rate / (1.0 - 0.9**step))
    scale = _F(1.0 / np.sqrt(1.0 - 0.999**step))
    eps = _F(epsilon)
    for i in range(theta.size):
        first[i] = b1 * first[i] + (_ONE - b1) * grad[i]
        second[i] = b2 * second[i] + (_ONE - b2) * grad[i] * grad[i]
        theta[i] -= rate * first[i] / (np.sqrt(second[i]) * scale + eps)


@compiled
def ppo_update(policy, gradient, optimiser, batch, orders, size, settings, learning_rate):
    """Epochs of clipped PPO on one rollout, in place; see `ppo.update_eager` for the same in torch.

    `orders` [epochs, T] are the permutations whose slices of `size` are the minibatches. Returns
    means over minibatches of: policy loss, value loss, approximate KL, clipped share.
    """
    actions_n = policy.log_std.size
    x = np.empty((size, batch.observations.shape[1]), np.float32)
    h1, h2 = (
        np.empty((size, policy.actor.b1.size), np.float32),
        np.empty((size, policy.actor.b2.size), np.float32),
    )
    v1, v2 = np.empty_like(h1), np.empty_like(h2)
    g1, g2 = np.empty_like(h1), np.empty_like(h2)
    means, g_means = (
        np.empty((size, actions_n), np.float32),
        np.empty((size, actions_n), np.float32),
    )
    values, g_values = np.empty((size, 1), np.float32), np.empty((size, 1), np.float32)
    inverse_std = np.empty(actions_n, np.float32)
    totals = np.zeros(4)
    low, high = _ONE - _F(settings.clip), _ONE + _F(settings.clip)
    clip = _F(settings.clip)
    weight = _ONE / _F(size)
    for epoch in range(orders.shape[0]):
        for begin in range(0, orders.shape[1], size):
            rows = orders[epoch, begin : begin + size]
            average, square = 0.0, 0.0
            for i in range(size):
                x[i] = batch.observations[rows[i]]
                average += batch.advantages[rows[i]]
            average /= size
            for i in range(size):
                square += (batch.advantages[rows[i]] - average) ** 2
            inverse_sd = 1.0 / (np.sqrt(square / (size - 1)) + 1e-8)

            _forward(x, policy.actor, h1, h2, means)
            _forward(x, policy.critic, v1, v2, values)
            for j in range(actions_n):
                inverse_std[j] = np.exp(-policy.log_std[j])
                gradient.log_std[j] = -_F(settings.entropy_coefficient)
            for i in range(size):
                row = rows[i]
                log_p = _F(0)
                for j in range(actions_n):
                    z = (batch.actions[row, j] - means[i, j]) * inverse_std[j]
                    log_p -= _F(0.5) * (z * z + _LOG_2PI) + policy.log_std[j]
                log_ratio = log_p - batch.log_probabilities[row]
                ratio = np.exp(log_ratio)
                advantage = _F((batch.advantages[row] - average) * inverse_sd)
                plain = -advantage * ratio
                clipped = -advantage * min(max(ratio, low), high)
                slope = _F(0)
                if (
                    plain >= clipped
                ):  # a tie means an unclipped ratio, whose gradient is the plain one
                    slope = plain * weight
                for j in range(actions_n):
                    z = (batch.actions[row, j] - means[i, j]) * inverse_std[j]
                    g_means[i, j] = slope * z * inverse_std[j]
                    gradient.log_std[j] += slope * (z * z - _ONE)

                value, old, target = values[i, 0], batch.values[row], batch.returns[row]
                error = value - target
                shift = value - old
                limited = old + min(max(shift, -clip), clip) - target
                if error * error >= limited * limited:
                    g_values[i, 0] = _F(settings.value_coefficient) * error * weight
                else:  # outside the trust region the clipped loss is flat
                    inside = -clip <= shift <= clip
                    g_values[i, 0] = (
                        _F(settings.value_coefficient) * limited * weight if inside else _F(0)
                    )
                totals[0] += max(plain, clipped) / size
                totals[1] += 0.5 * max(error * error, limited * limited) / size
                totals[2] += ((ratio - _ONE) - log_ratio) / size
                totals[3] += (1.0 if abs(ratio - _ONE) > clip else 0.0) / size

            _backward(x, policy.actor, h1, h2, g_means, g1, g2, gradient.actor)
            _backward(x, policy.critic, v1, v2, g_values, g1, g2, gradient.critic)
            clip_gradient(gradient.flat, settings.max_grad_norm)
            optimiser.step[0] += 1
            adam(
                policy.flat,
                gradient.flat,
                optimiser.first,
                optimiser.second,
                optimiser.step[0],
                learning_rate,
                settings.adam_epsilon,
            )
    return totals / (orders.shape[0] * (orders.shape[1] // size))
