"""The PPO update, compiled; `update.update_eager` is the same in plain torch, to read first."""

import numpy as np

from active_rlhf.agents.gaussian import LOG_2PI
from active_rlhf.agents.networks import backward, forward
from active_rlhf.compute.adam import adam, clip_gradient
from active_rlhf.compute.compilation import compiled

_F = np.float32
_ONE = _F(1)


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

            forward(x, policy.actor, h1, h2, means)
            forward(x, policy.critic, v1, v2, values)
            for j in range(actions_n):
                inverse_std[j] = np.exp(-policy.log_std[j])
                gradient.log_std[j] = -_F(settings.entropy_coefficient)
            for i in range(size):
                row = rows[i]
                log_p = _F(0)
                for j in range(actions_n):
                    z = (batch.actions[row, j] - means[i, j]) * inverse_std[j]
                    log_p -= _F(0.5) * (z * z + LOG_2PI) + policy.log_std[j]
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

            backward(x, policy.actor, h1, h2, g_means, g1, g2, gradient.actor)
            backward(x, policy.critic, v1, v2, g_values, g1, g2, gradient.critic)
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
