"""What was learned from the answers: an ensemble of reward networks.

Members are perceptrons on (observation, action) trained on pairs of segments by the Bradley-Terry
model, P(first preferred) = sigmoid(R(first) - R(second)) with R the sum of per-step rewards
(Christiano et al. 2017, eq. 1). Actions are those the policy sampled: clipped to the environment's
bounds they would be all alike beyond them, and their cost no reason to come back. Training runs
compiled over one flat buffer a member; `loss_eager` is the same loss in plain torch.
"""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from active_rlhf.agents.kernels import OBSERVATION_CLIP, VARIANCE_FLOOR
from active_rlhf.agents.normalise import Moments
from active_rlhf.compute import layers
from active_rlhf.compute.adam import adam, clip_gradient
from active_rlhf.compute.compilation import compiles
from active_rlhf.compute.layers import SLOPE
from active_rlhf.compute.precision import dtype_of, multiply, store

if TYPE_CHECKING:
    import torch

STATE = ("flat", "first", "second", "step", "mean", "scale", "output_mean", "output_sd")

Member = namedtuple("Member", "flat weights biases")


Minibatch = namedtuple("Minibatch", "inputs targets weights keys")
Minibatch.__doc__ = """Pairs [n, 2H, o + a] as products take them, answers and weights [n], a key of
the dropout of each layer."""

Work = namedtuple("Work", "sums hidden gradients differences")


def _member(flat: Any, sizes: list[int]) -> Member:
    """Weights [inputs, outputs] and biases of each layer, views of a flat array or tensor."""
    weights, biases, begin = [], [], 0
    for inputs, outputs in pairwise(sizes):
        weights.append(flat[begin : begin + inputs * outputs].reshape(inputs, outputs))
        begin += inputs * outputs
        biases.append(flat[begin : begin + outputs])
        begin += outputs
    return Member(flat, tuple(weights), tuple(biases))


def _forward(
    x: np.ndarray,
    weights: Sequence[np.ndarray],
    biases: Sequence[np.ndarray],
    sums: np.ndarray,
    hidden: Sequence[np.ndarray],
    keep: float = 1.0,
    keys: np.ndarray | None = None,
) -> None:
    """Fill `hidden` [rows, c] layer by layer from `x` [rows, o + a], by way of the buffer `sums`.

    Without `keys` nothing is dropped. Weights are as products take them, biases float32.
    """
    for i, (weight, bias, a) in enumerate(zip(weights, biases, hidden, strict=False)):
        z = sums[: a.size].reshape(a.shape)
        multiply(x, weight, z)
        if keys is None or keep == 1:
            layers.activate(z, bias, a)
        else:
            layers.activate_and_drop(z, bias, keep, keys[i], a)
        x = a


class RewardEnsemble:
    """E reward networks, the observation normaliser they use and the scale of their outputs.

    `config` is the `reward_model` section of a run. With precision `bfloat16` the rows and weights
    that matrix products meet are rounded to it; weights proper, sums, losses and Adam are float32
    (mixed-precision training, Micikevicius et al. 2018). All randomness (initial weights, bootstrap
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
        self.config, self.generator = config, generator
        self.sizes = [observations + actions, *config["hidden"], 1]
        count = sum((i + 1) * o for i, o in pairwise(self.sizes))
        self.flat = np.empty((config["members"], count), np.float32)
        self.first, self.second = np.zeros_like(self.flat), np.zeros_like(self.flat)
        self.step = np.zeros(config["members"], np.int64)
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
        self._dtype = dtype_of(config["precision"])
        self._gradient = _member(np.zeros(count, np.float32), self.sizes)
        self._rounded = _member(np.zeros(count, self._dtype), self.sizes)
        self._x = np.zeros((self.CHUNK, self.sizes[0]), self._dtype)
        self._sums = np.empty(self.CHUNK * max(self.sizes), self._dtype)
        # The last product of a prediction stays in float32, and so does the reward.
        top = np.empty((self.CHUNK, self.sizes[-2]), np.float32)
        self._hidden = (*self._buffers(self.CHUNK)[:-1], top)

    def _buffers(self, rows: int) -> tuple[np.ndarray, ...]:
        return tuple(np.empty((rows, width), self._dtype) for width in self.sizes[1:-1])

    def _for_products(self, member: Member) -> Member:
        """The member's parameters as products take them: themselves, or rounded."""
        if self._dtype == np.float32:
            return member
        store(member.flat, self._rounded.flat)
        return self._rounded

    def observe(self, moments: Moments) -> None:
        """Take today's observation statistics as the members' normaliser."""
        self.mean = moments.mean.copy()
        self.scale = np.sqrt(moments.var + VARIANCE_FLOOR)

    def inputs(
        self, observations: np.ndarray, actions: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Network inputs [..., o + a] of raw observations [..., o] and sampled actions [..., a].

        They go into `out`, as matrix products take them, or into a new float32 array.
        """
        o, a = observations.shape[-1], actions.shape[-1]
        if out is None:
            out = np.empty((*observations.shape[:-1], o + a), np.float32)
        x = out.reshape(-1, o + a)
        limit = OBSERVATION_CLIP
        layers.standardise(observations.reshape(-1, o), self.mean, self.scale, limit, x[:, :o])
        layers.standardise(actions.reshape(-1, a), np.zeros(a), np.ones(a), np.inf, x[:, o:])
        return out

    def member_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Unnormalised rewards float32 [E, ...] of raw observations [..., o], actions [..., a]."""
        shape = observations.shape[:-1]
        observations = observations.reshape(-1, observations.shape[-1])
        actions = actions.reshape(-1, actions.shape[-1])
        out = np.empty((len(self.members), len(actions)), np.float32)
        for begin in range(0, len(actions), self.CHUNK):
            part = slice(begin, begin + self.CHUNK)
            count = len(actions[part])
            self.inputs(observations[part], actions[part], self._x[:count])
            # Of few different heights, as code is made and kept for each; what is below the part
            # is of no use.
            rows = min(self.CHUNK, -(-count // 512) * 512)
            hidden = [h[:rows] for h in self._hidden]
            top = hidden[-1][:count]
            for member, rewards in zip(self.members, out, strict=True):
                weights = self._for_products(member).weights
                _forward(self._x[:rows], weights, member.biases, self._sums, hidden)
                np.dot(top, member.weights[-1][:, 0], out=rewards[part])
        for member, rewards in zip(self.members, out, strict=True):
            rewards += member.biases[-1]
        return out.reshape(len(self.members), *shape)

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
        steps = 2 * observations.shape[2]
        inputs = np.empty((n, steps, self.sizes[0]), self._dtype)
        self.inputs(observations, actions, inputs)
        batches = -(-n // config["batch_size"])
        # All draws distinct is possible, so the buffers hold a full minibatch.
        largest = -(-n // batches)
        rows = largest * steps
        differences = np.empty((largest, self.sizes[-2]), np.float32)
        sums = np.empty(rows * max(self.sizes), self._dtype)
        work = Work(sums, self._buffers(rows), self._buffers(rows), differences)
        step = self._step if compiles() else self._step_eager
        losses = []
        for e in range(len(self.members)):
            counts = np.bincount(self.generator.integers(n, size=n), minlength=n)
            drawn = np.flatnonzero(counts)
            bounds = np.linspace(0, len(drawn), batches + 1).astype(np.int64)
            for _ in range(config["epochs"]):
                order = self.generator.permutation(drawn)
                keys = self.generator.integers(
                    2**32, size=(batches, len(config["hidden"])), dtype=np.uint32
                )
                loss = 0.0
                for begin, end, key in zip(bounds[:-1], bounds[1:], keys, strict=True):
                    pairs = order[begin:end]
                    weights = counts[pairs] * (batches / n)
                    minibatch = Minibatch(inputs[pairs], preferences[pairs], weights, key)
                    loss += step(e, minibatch, work)
            losses.append(loss / batches)
        return float(np.mean(losses))

    def _step(self, e: int, minibatch: Minibatch, work: Work) -> float:
        """One step of Adam for member `e` on the weighted sum of the losses of pairs [n, 2H, .].

        The loss depends on a pair through the difference D of its segments' sums of last hidden
        units: logit = D w, and the output bias, cancelled, has no gradient.
        """
        inputs, targets, weights, keys = minibatch
        config, member, gradient = self.config, self.members[e], self._gradient
        network, keep = self._for_products(member), 1.0 - config["dropout"]
        n, steps = len(inputs), inputs.shape[1] // 2
        x = inputs.reshape(-1, inputs.shape[-1])
        hidden = [h[: len(x)] for h in work.hidden]
        gradients = [g[: len(x)] for g in work.gradients]
        _forward(x, network.weights, member.biases, work.sums, hidden, keep, keys)
        differences, w = work.differences[:n], member.weights[-1][:, 0]
        layers.segment_differences(hidden[-1], steps, differences)
        logits = (differences @ w).astype(np.float64)
        loss = weights @ (np.logaddexp(0, logits) - targets * logits)
        slopes = (weights * (_sigmoid(logits) - targets)).astype(np.float32)

        gradient.weights[-1][:, 0] = slopes @ differences
        gradient.biases[-1][:] = 0
        for layer in reversed(range(len(hidden))):
            h, g, bias = hidden[layer], gradients[layer], gradient.biases[layer]
            if layer == len(hidden) - 1:
                layers.through_segment_differences(slopes, w, steps, h, keep, g, bias)
            else:
                multiply(gradients[layer + 1], network.weights[layer + 1].T, g)
                layers.through_activation(g, h, bias, keep)
            multiply((hidden[layer - 1] if layer else x).T, g, gradient.weights[layer])
        clip_gradient(gradient.flat, config["max_grad_norm"])
        gradient.flat[:] += np.float32(config["weight_decay"]) * member.flat
        self.step[e] += 1
        adam(
            *(member.flat, gradient.flat, self.first[e], self.second[e]),
            *(int(self.step[e]), float(config["learning_rate"]), 1e-8),
        )
        return float(loss)

    def _step_eager(self, e: int, minibatch: Minibatch, work: Work) -> float:
        """`_step` written out in torch: the same but for the bits that dropout draws."""
        import torch

        inputs, targets, weights, keys = minibatch
        config = self.config
        flat = torch.from_numpy(self.flat[e]).requires_grad_()
        member = _member(flat, self.sizes)
        torch.manual_seed(int(keys[0]))
        pairs = torch.from_numpy(inputs).reshape(len(inputs), 2, -1, inputs.shape[-1])
        answers = torch.from_numpy(targets).float()
        losses = loss_eager(member.weights, member.biases, pairs, answers, config["dropout"])
        loss = losses @ torch.from_numpy(weights).float()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([flat], config["max_grad_norm"])
        adam = torch.optim.Adam(
            [flat], lr=config["learning_rate"], weight_decay=config["weight_decay"]
        )
        adam.state[flat] = {
            "step": torch.tensor(float(self.step[e])),
            "exp_avg": torch.from_numpy(self.first[e]),
            "exp_avg_sq": torch.from_numpy(self.second[e]),
        }
        adam.step()
        self.step[e] += 1
        return loss.item()

    def preferences(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """P(first preferred) of each member, float64 [E, n], for pairs [n, 2, H, .]."""
        return first_preferred(self.member_rewards(observations, actions))

    def state_dict(self) -> dict[str, np.ndarray]:
        """Weights, optimiser, normaliser and output scale: all that `fit` goes on from."""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over the state of an ensemble of the same configuration."""
        for name in STATE:
            getattr(self, name)[:] = state[name]

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights, normaliser and output scale by name; the arrays are the ensemble's."""
        arrays = {
            f"members.{e}.{kind}.{layer}": value
            for e, member in enumerate(self.members)
            for kind in ("weights", "biases")
            for layer, value in enumerate(getattr(member, kind))
        }
        names = ("mean", "scale", "output_mean", "output_sd")
        return arrays | {name: getattr(self, name) for name in names}


def first_preferred(member_rewards: np.ndarray) -> np.ndarray:
    """P(first preferred) of each member, float64 [E, n], from rewards [E, n, 2, H]."""
    returns = member_rewards.sum(-1, dtype=np.float64)
    return _sigmoid(returns[..., 0] - returns[..., 1])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(np.clip(-x, -500, 500)))


def loss_eager(
    weights: Sequence["torch.Tensor"],
    biases: Sequence["torch.Tensor"],
    inputs: "torch.Tensor",
    preferences: "torch.Tensor",
    dropout: float = 0.0,
) -> "torch.Tensor":
    """Bradley-Terry cross-entropy [n] of one member on pairs [n, 2, H, o + a], in plain torch."""
    from torch.nn import functional

    h = inputs
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        h = functional.leaky_relu(h @ weight + bias, float(SLOPE))
        h = functional.dropout(h, dropout)
    returns = (h @ weights[-1] + biases[-1])[..., 0].sum(-1)
    return functional.binary_cross_entropy_with_logits(
        returns[:, 0] - returns[:, 1], preferences, reduction="none"
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
