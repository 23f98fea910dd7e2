"""What was learned from the answers: an ensemble of reward networks.

Members are perceptrons on (observation, action) trained on pairs of segments by the Bradley-Terry
model, P(first preferred) = sigmoid(R(first) - R(second)) with R the sum of per-step rewards
(Christiano et al. 2017, eq. 1). Training runs compiled over one flat buffer a member;
`loss_eager` is the same loss in plain torch.
"""

from collections import namedtuple
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from active_rlhf import kernels
from active_rlhf.compilation import compiled, compiled_once
from active_rlhf.kernels import adam, clip_gradient, column_sums
from active_rlhf.policy import Moments

SLOPE = np.float32(0.01)  # of LeakyReLU
_ONE, _ZERO = np.float32(1), np.float32(0)

Member = namedtuple("Member", "flat weights biases")
Settings = namedtuple("Settings", "keep learning_rate weight_decay max_grad_norm batch_size")


@compiled
def _mix(counter, key):
    """A 32-bit hash of a counter: random bits that need no state and vectorise."""
    x = np.uint32(counter ^ key)
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0xD35A2D97))
    return np.uint32(x ^ (x >> np.uint32(15)))


@compiled
def activate(x, bias, keep, key):
    """LeakyReLU(x + bias) in place, then inverted dropout that keeps a share `keep`."""
    rows, columns = x.shape
    scale = np.float32(1.0 / keep)
    limit = np.uint32(min((1.0 - keep) * 2.0**32, 2.0**32 - 1))
    for i in range(rows):
        offset = np.uint32(i * columns)
        for j in range(columns):
            value = x[i, j] + bias[j]
            value = value if value > _ZERO else SLOPE * value
            kept = _mix(np.uint32(offset + np.uint32(j)), key) >= limit
            x[i, j] = value * scale if kept else _ZERO


@compiled
def through_activation(gradient, x, keep):
    """Back through `activate`: the sign of its output tells kept from dropped and the slope."""
    g, h = gradient.ravel(), x.ravel()
    positive = np.float32(1.0 / keep)
    negative = SLOPE * positive
    for i in range(g.size):
        g[i] *= positive if h[i] > _ZERO else (negative if h[i] < _ZERO else _ZERO)


@compiled
def _predict(x, member, hidden, out):
    layers = len(member.weights)
    h = x
    for layer in range(layers - 1):
        a = hidden[layer][: x.shape[0]]
        np.dot(h, member.weights[layer], a)
        activate(a, member.biases[layer], 1.0, np.uint32(0))
        h = a
    np.dot(h, member.weights[layers - 1], out)
    out += member.biases[layers - 1][0]


@compiled
def _fit(member, grad, first, second, step, data, order, bounds, keys, settings, work):
    """One epoch over weighted pairs, in place; returns the mean loss.

    `order` are indices of pairs, `bounds` cut it into minibatches, `keys` seed their dropout.
    """
    layers = len(member.weights)
    steps = data.inputs.shape[1] // 2
    total, mass = 0.0, 0.0
    for batch in range(bounds.size - 1):
        pairs = order[bounds[batch] : bounds[batch + 1]]
        rows = pairs.size * 2 * steps
        x, out, g_out = work.x[:rows], work.out[:rows], work.g_out[:rows]
        for i in range(pairs.size):
            x[i * 2 * steps : (i + 1) * 2 * steps] = data.inputs[pairs[i]]
        h = x
        for layer in range(layers - 1):
            a = work.hidden[layer][:rows]
            np.dot(h, member.weights[layer], a)
            activate(a, member.biases[layer], settings.keep, keys[batch, layer])
            h = a
        np.dot(h, member.weights[layers - 1], out)
        for i in range(pairs.size):
            begin, middle, end = i * 2 * steps, (i * 2 + 1) * steps, (i + 1) * 2 * steps
            logit = 0.0
            for row in range(begin, middle):
                logit += out[row, 0] - out[row + steps, 0]
            target, weight = data.targets[pairs[i]], data.counts[pairs[i]]
            # softplus(logit) - target * logit, without overflow
            total += weight * (max(logit, 0.0) + np.log1p(np.exp(-abs(logit))) - target * logit)
            mass += weight
            slope = np.float32(
                weight * (1.0 / (1.0 + np.exp(-logit)) - target) / settings.batch_size
            )
            for row in range(begin, middle):
                g_out[row, 0] = slope
            for row in range(middle, end):
                g_out[row, 0] = -slope
        g = g_out
        for layer in range(layers - 1, -1, -1):
            below = x if layer == 0 else work.hidden[layer - 1][:rows]
            np.dot(below.T, g, grad.weights[layer])
            column_sums(g, grad.biases[layer])
            if layer > 0:
                g_below = work.g_hidden[layer - 1][:rows]
                np.dot(g, member.weights[layer].T, g_below)
                through_activation(g_below, below, settings.keep)
                g = g_below
        decay = np.float32(settings.weight_decay)
        for i in range(grad.flat.size):
            grad.flat[i] += decay * member.flat[i]
        clip_gradient(grad.flat, settings.max_grad_norm)
        step[0] += 1
        adam(member.flat, grad.flat, first, second, step[0], settings.learning_rate, 1e-8)
    return total / mass


Work = namedtuple("Work", "x hidden out g_hidden g_out")
Pairs = namedtuple("Pairs", "inputs targets counts")


def _member(flat: np.ndarray, sizes: list[int]) -> Member:
    weights, biases, begin = [], [], 0
    for inputs, outputs in pairwise(sizes):
        weights.append(flat[begin : begin + inputs * outputs].reshape(inputs, outputs))
        begin += inputs * outputs
        biases.append(flat[begin : begin + outputs])
        begin += outputs
    return Member(flat, tuple(weights), tuple(biases))


def _workspace(rows: int, sizes: list[int]) -> Work:
    def buffers(widths: list[int]) -> tuple[np.ndarray, ...]:
        return tuple(np.empty((rows, width), np.float32) for width in widths)

    hidden = sizes[1:-1]
    return Work(
        *(*buffers(sizes[:1]), buffers(hidden), *buffers([1])), *(buffers(hidden), *buffers([1]))
    )


class RewardEnsemble:
    """E reward networks, the observation normaliser they use and the scale of their outputs.

    `config` is the `reward_model` section of a run. All randomness (initial weights, bootstrap
    samples, minibatch order, dropout) comes from `generator`.
    """

    CHUNK = 2048  # rows predicted at once

    def __init__(
        self,
        config: dict[str, Any],
        observations: int,
        actions: int,
        generator: np.random.Generator,
    ):
        compiled_once(f"reward-{len(config['hidden'])}")
        self.config, self.generator = config, generator
        self.sizes = [observations + actions, *config["hidden"], 1]
        count = sum((i + 1) * o for i, o in pairwise(self.sizes))
        self.flat = np.empty((config["members"], count), np.float32)
        self.first, self.second = np.zeros_like(self.flat), np.zeros_like(self.flat)
        self.step = np.zeros((config["members"], 1), np.int64)
        self.members = [_member(flat, self.sizes) for flat in self.flat]
        for member in self.members:
            for weight, bias in zip(member.weights, member.biases, strict=True):
                # torch's default for linear layers
                bound = 1 / np.sqrt(weight.shape[0])
                weight[:] = generator.uniform(-bound, bound, weight.shape)
                bias[:] = generator.uniform(-bound, bound, bias.shape)
        self.mean = np.zeros(observations)
        self.scale = np.ones(observations)
        self.output_mean = np.zeros(config["members"])
        self.output_sd = np.ones(config["members"])
        self._work = _workspace(self.CHUNK, self.sizes)

    def observe(self, moments: Moments) -> None:
        """Take today's observation statistics as the members' normaliser."""
        self.mean = moments.mean.copy()
        self.scale = np.sqrt(moments.var + kernels.VARIANCE_FLOOR)

    def inputs(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Network inputs float32 [..., o + a] of raw observations and executed actions."""
        limit = kernels.OBSERVATION_CLIP
        x = np.empty((*observations.shape[:-1], self.sizes[0]), np.float32)
        x[..., : observations.shape[-1]] = np.clip(
            (observations - self.mean) / self.scale, -limit, limit
        )
        x[..., observations.shape[-1] :] = actions
        return x

    def member_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Unnormalised rewards float32 [E, ...] of raw observations [..., o], actions [..., a]."""
        return self._member_rewards(self.inputs(observations, actions))

    def _member_rewards(self, inputs: np.ndarray) -> np.ndarray:
        flat = inputs.reshape(-1, self.sizes[0])
        out = np.empty((len(self.members), len(flat), 1), np.float32)
        for begin in range(0, len(flat), self.CHUNK):
            part = slice(begin, begin + self.CHUNK)
            for member, rewards in zip(self.members, out, strict=True):
                _predict(flat[part], member, self._work.hidden, rewards[part])
        return out.reshape(len(self.members), *inputs.shape[:-1])

    def calibrate(self, member_rewards: np.ndarray) -> None:
        """Set each member's output [E, ...] to mean 0 and sd 1 (Christiano 2017, 2.2.1)."""
        rewards = member_rewards.reshape(len(self.members), -1)
        self.output_mean = rewards.mean(1, dtype=np.float64)
        self.output_sd = rewards.std(1, dtype=np.float64) + 1e-8

    def rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The ensemble's reward float64 [...] at raw observations [..., o], actions [..., a]."""
        return self.combined(self.member_rewards(observations, actions))

    def combined(self, member_rewards: np.ndarray) -> np.ndarray:
        """Mean float64 [...] of the calibrated members' rewards [E, ...]."""
        rewards = member_rewards
        shape = (-1, *[1] * (rewards.ndim - 1))
        return ((rewards - self.output_mean.reshape(shape)) / self.output_sd.reshape(shape)).mean(0)

    def fit(self, observations: np.ndarray, actions: np.ndarray, preferences: np.ndarray) -> float:
        """Train every member for `epochs` epochs on its own bootstrap sample of the labels.

        observations [n, 2, H, o] raw, actions [n, 2, H, a], preferences [n] (1 first, 0 second,
        .5 equal). A pair drawn k times is visited once with weight k: the same expected gradient
        and number of steps as a pass over the n draws, for a third less work. Returns the mean
        loss of the last epoch over draws and members.
        """
        config, n = self.config, len(preferences)
        inputs = self.inputs(observations, actions)
        inputs = inputs.reshape(n, -1, self.sizes[0])
        batches = -(-n // config["batch_size"])
        # All draws distinct is possible, so the buffers hold a full minibatch.
        work = _workspace(-(-n // batches) * inputs.shape[1], self.sizes)
        settings = Settings(
            1.0 - config["dropout"],
            float(config["learning_rate"]),
            float(config["weight_decay"]),
            float(config["max_grad_norm"]),
            n / batches,
        )
        gradient = _member(np.zeros_like(self.flat[0]), self.sizes)
        losses = []
        for e, member in enumerate(self.members):
            counts = np.bincount(self.generator.integers(n, size=n), minlength=n)
            drawn = np.flatnonzero(counts)
            data = Pairs(inputs, preferences.astype(np.float64), counts.astype(np.float64))
            bounds = np.linspace(0, len(drawn), batches + 1).astype(np.int64)
            for _ in range(config["epochs"]):
                order = self.generator.permutation(drawn)
                keys = self.generator.integers(
                    2**32, size=(batches, len(config["hidden"])), dtype=np.uint32
                )
                loss = _fit(
                    *(member, gradient, self.first[e], self.second[e], self.step[e]),
                    *(data, order, bounds, keys, settings, work),
                )
            losses.append(loss)
        return float(np.mean(losses))

    def preferences(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """P(first preferred) of each member, float64 [E, n], for pairs [n, 2, H, .]."""
        return first_preferred(self.member_rewards(observations, actions))

    def state(self) -> dict[str, torch.Tensor]:
        """Weights, normaliser and output scale as named tensors."""
        arrays = {
            f"members.{e}.{kind}.{layer}": value
            for e, member in enumerate(self.members)
            for kind in ("weights", "biases")
            for layer, value in enumerate(getattr(member, kind))
        }
        names = ("mean", "scale", "output_mean", "output_sd")
        arrays |= {name: getattr(self, name) for name in names}
        return {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}


def first_preferred(member_rewards: np.ndarray) -> np.ndarray:
    """P(first preferred) of each member, float64 [E, n], from rewards [E, n, 2, H]."""
    returns = member_rewards.sum(-1, dtype=np.float64)
    return 1 / (1 + np.exp(np.clip(returns[..., 1] - returns[..., 0], -500, 500)))


def loss_eager(
    weights: list[torch.Tensor],
    biases: list[torch.Tensor],
    inputs: torch.Tensor,
    preferences: torch.Tensor,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Bradley-Terry cross-entropy of one member on pairs [n, 2, H, o + a], in plain torch."""
    h = inputs
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        h = torch.nn.functional.leaky_relu(h @ weight + bias, float(SLOPE))
        h = torch.nn.functional.dropout(h, dropout)
    returns = (h @ weights[-1] + biases[-1])[..., 0].sum(-1)
    return torch.nn.functional.binary_cross_entropy_with_logits(
        returns[:, 0] - returns[:, 1], preferences
    )


def cross_entropy(probability: np.ndarray, preference: np.ndarray) -> float:
    """Mean cross-entropy of predicted P(first) [n] against answers [n]; NaN without any."""
    if not len(preference):
        return float("nan")
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return float(-(preference * np.log(p) + (1 - preference) * np.log(1 - p)).mean())


def accuracy(probability: np.ndarray, preference: np.ndarray) -> float:
    """Share of untied answers that the predicted P(first) [n] gets right; NaN without any."""
    untied = preference != 0.5
    if not untied.any():
        return float("nan")
    return float(((probability > 0.5) == (preference > 0.5))[untied].mean())
