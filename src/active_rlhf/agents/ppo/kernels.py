"""The PPO update, compiled; read `update.update_eager` first, the same in plain torch.

Names are those of the reference. Gradients, which autograd computes there, are written by hand
here: each loss computes its gradient with respect to the networks' outputs, and `backward` takes it
through the networks.
"""

from collections import namedtuple

import numpy as np

from active_rlhf.agents.kernels import LOG_2PI, backward, forward
from active_rlhf.compute.adam import adam, clip_gradient
from active_rlhf.compute.compilation import compiled

_F = np.float32
_ZERO, _HALF, _ONE = _F(0), _F(0.5), _F(1)

Side = namedtuple("Side", "h1 h2 out g_out")
Side.__doc__ = """Hidden units [n, .] of actor or critic on a minibatch, outputs, their gradient."""


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
def ppo_update(policy, gradient, optimiser, batch, orders, size, settings, learning_rate):
    """Epochs of clipped PPO on one rollout, in place; see `update_eager` for the same in torch.

    `orders` [epochs, T] are the permutations whose slices of `size` are the minibatches. Returns
    means over minibatches of: policy loss, value loss, approximate KL, clipped share.
    """
    x = np.empty((size, batch.observations.shape[1]), np.float32)
    advantages = np.empty(size, np.float32)
    actor, critic = _side(policy.actor, size), _side(policy.critic, size)
    g_h1, g_h2 = np.empty_like(actor.h1), np.empty_like(actor.h2)
    totals = np.zeros(4)
    for epoch in range(orders.shape[0]):
        for begin in range(0, orders.shape[1], size):
            rows = orders[epoch, begin : begin + size]
            for i in range(size):
                x[i] = batch.observations[rows[i]]
            normalise_advantages(batch, rows, advantages)

            forward(x, policy.actor, actor.h1, actor.h2, actor.out)
            forward(x, policy.critic, critic.h1, critic.h2, critic.out)
            policy_loss(policy, batch, rows, advantages, settings, actor, gradient.log_std, totals)
            value_loss(batch, rows, settings, critic, totals)
            backward(x, policy.actor, actor.h1, actor.h2, actor.g_out, g_h1, g_h2, gradient.actor)
            backward(
                x, policy.critic, critic.h1, critic.h2, critic.g_out, g_h1, g_h2, gradient.critic
            )

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


@compiled
def _side(network, size):
    h1 = np.empty((size, network.b1.size), np.float32)
    h2 = np.empty((size, network.b2.size), np.float32)
    out = np.empty((size, network.b3.size), np.float32)
    return Side(h1, h2, out, np.empty_like(out))


@compiled
def normalise_advantages(batch, rows, advantages):
    """The advantages of a minibatch's `rows` with mean 0 and sd 1."""
    mean, square = 0.0, 0.0
    for row in rows:
        mean += batch.advantages[row]
    mean /= rows.size
    for row in rows:
        square += (batch.advantages[row] - mean) ** 2
    inverse_sd = 1.0 / (np.sqrt(square / (rows.size - 1)) + 1e-8)
    for i in range(rows.size):
        advantages[i] = (batch.advantages[rows[i]] - mean) * inverse_sd


@compiled
def policy_loss(policy, batch, rows, advantages, settings, actor, g_log_std, totals):
    """max(-A ratio, -A clipped ratio), less the entropy bonus (Schulman et al. 2017, eq. 7).

    Its gradient goes to `actor.g_out` and `g_log_std`; the loss, the approximate KL and the share
    of ratios clipped are added to `totals`.
    """
    means, log_std, n = actor.out, policy.log_std, rows.size
    inverse_std = np.empty_like(log_std)
    for j in range(log_std.size):
        inverse_std[j] = np.exp(-log_std[j])
        g_log_std[j] = -_F(settings.entropy_coefficient)
    clip, weight = _F(settings.clip), _ONE / _F(n)
    low, high = _ONE - clip, _ONE + clip
    for i in range(n):
        row = rows[i]
        log_p = _ZERO
        for j in range(log_std.size):
            z = (batch.actions[row, j] - means[i, j]) * inverse_std[j]
            log_p -= _HALF * (z * z + LOG_2PI) + log_std[j]
        log_ratio = log_p - batch.log_probabilities[row]
        ratio = np.exp(log_ratio)
        clipped_ratio = min(max(ratio, low), high)
        plain, clipped = -advantages[i] * ratio, -advantages[i] * clipped_ratio
        # A tie means an unclipped ratio, whose gradient is the plain one.
        slope = plain * weight if plain >= clipped else _ZERO
        for j in range(log_std.size):
            z = (batch.actions[row, j] - means[i, j]) * inverse_std[j]
            actor.g_out[i, j] = slope * z * inverse_std[j]
            g_log_std[j] += slope * (z * z - _ONE)
        totals[0] += max(plain, clipped) / n
        totals[2] += ((ratio - _ONE) - log_ratio) / n
        totals[3] += (1.0 if abs(ratio - _ONE) > clip else 0.0) / n


@compiled
def value_loss(batch, rows, settings, critic, totals):
    """Half the larger square of the value's error and of one kept near the old value.

    Its gradient, by `value_coefficient`, goes to `critic.g_out`; the loss is added to `totals`.
    """
    n, clip = rows.size, _F(settings.clip)
    coefficient, weight = _F(settings.value_coefficient), _ONE / _F(n)
    for i in range(n):
        row = rows[i]
        value, old, target = critic.out[i, 0], batch.values[row], batch.returns[row]
        shift = value - old
        near = old + min(max(shift, -clip), clip)
        error, near_error = value - target, near - target
        if error * error >= near_error * near_error:
            critic.g_out[i, 0] = coefficient * error * weight
        else:  # outside the trust region the clipped loss is flat
            inside = -clip <= shift <= clip
            critic.g_out[i, 0] = coefficient * near_error * weight if inside else _ZERO
        totals[1] += 0.5 * max(error * error, near_error * near_error) / n
