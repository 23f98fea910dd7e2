"""The compiled ensemble of perceptrons on (observation, action).

Trained on pairs of segments by the Bradley-Terry model, P(first preferred) = sigmoid(R(first) -
R(second)) with R the sum of per-step rewards (Christiano et al. 2017, eq. 1). Actions are those the
policy sampled, unless `labels.actions` is `clipped`: clipped to the environment's bounds, all
actions beyond them look alike, and their cost gives no reason to come back. Each member is one flat
buffer. Read `torch_mlp` first: it is the same in plain torch. `_step_in_torch` below is one of its
steps on these buffers.
"""

from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from active_rlhf.compute import layers
from active_rlhf.compute.adam import adam, clip_gradient
from active_rlhf.compute.compilation import compiles
from active_rlhf.compute.precision import dtype_of, multiply, store
from active_rlhf.parts import reward_model
from active_rlhf.rewards import kernels
from active_rlhf.rewards.ensemble import Ensemble, batches, bootstrap
from active_rlhf.rewards.measures import sigmoid
from active_rlhf.rewards.settings import MLPSettings

CHUNK = 2048  # rows predicted at once
HEIGHTS = (512, 128)  # what their number is a multiple of: usually, and of a short rollout
ADAM_EPSILON = 1e-8

Member = namedtuple("Member", "flat weights biases")
Minibatch = namedtuple("Minibatch", "inputs answers weights keys")
Minibatch.__doc__ = """Pairs [n, 2H, o + a] as products take them, answers and weights [n], a key of
the dropout of each layer."""
Work = namedtuple("Work", "sums hidden gradients differences")
Work.__doc__ = """Buffers of a step of training: of a product, of each layer's units and their
gradients, of differences [n, c] of segments' sums of last hidden units."""


def parameter_count(sizes: Sequence[int]) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


def views(flat: Any, sizes: Sequence[int]) -> Member:
    """Weights [inputs, outputs] and biases of each layer, views of a flat array or tensor."""
    weights, biases, begin = [], [], 0
    for inputs, outputs in pairwise(sizes):
        weights.append(flat[begin : begin + inputs * outputs].reshape(inputs, outputs))
        begin += inputs * outputs
        biases.append(flat[begin : begin + outputs])
        begin += outputs
    return Member(flat, tuple(weights), tuple(biases))


@reward_model(name="mlp")
class MLPEnsemble(Ensemble):
    """Multilayer perceptrons, trained by compiled code.

    With precision `bfloat16`, rows and weights are rounded to it for matrix products; master
    weights, sums, losses and Adam are float32 (mixed-precision training, Micikevicius et al. 2018).
    """

    STATE = ("flat", "first", "second", "step")

    def __init__(
        self,
        observations: int,
        actions: int,
        generator: np.random.Generator,
        settings: MLPSettings,
    ):
        super().__init__(settings.members, observations, actions)
        self.settings, self.generator = settings, generator
        self.layers = [observations + actions, *settings.hidden, 1]  # their widths
        count = parameter_count(self.layers)
        self.flat = np.empty((settings.members, count), np.float32)
        self.first, self.second = np.zeros_like(self.flat), np.zeros_like(self.flat)
        self.step = np.zeros(settings.members, np.int64)
        self.members = [views(flat, self.layers) for flat in self.flat]
        for member in self.members:
            for weight, bias in zip(member.weights, member.biases, strict=True):
                # torch's default for linear layers
                bound = 1 / np.sqrt(weight.shape[0])
                weight[:] = generator.uniform(-bound, bound, weight.shape)
                bias[:] = generator.uniform(-bound, bound, bias.shape)

    @classmethod
    def sizes(cls, arrays: Mapping[str, np.ndarray], settings: MLPSettings) -> tuple[int, int]:
        widths = [*settings.hidden, 1]
        for e in range(settings.members):
            for layer, width in enumerate(widths):
                if getattr(arrays.get(f"members.{e}.biases.{layer}"), "shape", None) != (width,):
                    raise ValueError("is not of networks with these settings")
        first, mean = arrays.get("members.0.weights.0"), arrays.get("mean")
        if first is None or mean is None or not len(first.shape) == 2 or mean.ndim != 1:
            raise ValueError("holds no members.0.weights.0 and mean")
        if len(first) <= len(mean):
            raise ValueError("is not of networks that see observations and actions")
        return len(mean), len(first) - len(mean)

    @property
    def parameters(self) -> np.ndarray:
        """[E, p]"""
        return self.flat

    # What only matrix products need is loaded with the first of them: loading a saved model needs
    # no compiler.

    @cached_property
    def dtype(self) -> type[np.generic]:
        """Number type of matrix products."""
        return dtype_of(self.settings.precision)

    @cached_property
    def _rounded(self) -> Member:
        return views(np.zeros(self.flat.shape[1], self.dtype), self.layers)

    @cached_property
    def _gradient(self) -> Member:
        return views(np.zeros(self.flat.shape[1], np.float32), self.layers)

    @cached_property
    def _prediction(self) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
        """Buffers for a chunk: inputs, a product, hidden units."""
        # The last product of a prediction stays in float32, and so does the reward.
        top = np.empty((CHUNK, self.layers[-2]), np.float32)
        return (
            np.zeros((CHUNK, self.layers[0]), self.dtype),
            np.empty(CHUNK * max(self.layers), self.dtype),
            (*self._units(CHUNK)[:-1], top),
        )

    def _units(self, rows: int) -> tuple[np.ndarray, ...]:
        return tuple(np.empty((rows, width), self.dtype) for width in self.layers[1:-1])

    def _for_products(self, member: Member) -> Member:
        """The member's parameters for matrix products: as they are, or rounded."""
        if self.dtype == np.float32:
            return member
        store(member.flat, self._rounded.flat)
        return self._rounded

    def member_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Unnormalised rewards float32 [E, ...] of raw observations [..., o], actions [..., a]."""
        observations, actions, shape = self.rows(observations, actions)
        out = np.empty((len(self.members), len(actions)), np.float32)
        short = len(shape) == 1 and len(actions) < HEIGHTS[0]
        for e, part, units in self._last_hidden(observations, actions, HEIGHTS[short]):
            np.dot(units, self.members[e].weights[-1][:, 0], out=out[e, part])
        for member, rewards in zip(self.members, out, strict=True):
            rewards += member.biases[-1]
        return out.reshape(len(self.members), *shape)

    def features(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Last hidden units float32 [E, N, k], summed over the steps of segments [N, H, .].

        Member e's return is their product with its last weights, and H times its last bias.
        """
        observations, actions, (count, length) = self.rows(observations, actions)
        out = np.zeros((len(self.members), count, self.layers[-2]), np.float32)
        for e, part, units in self._last_hidden(observations, actions):
            segments = np.arange(part.start // length, -(-part.stop // length))
            begins = np.maximum(segments * length - part.start, 0)
            out[e, segments] += np.add.reduceat(units, begins, axis=0)
        return out

    def _last_hidden(
        self, observations: np.ndarray, actions: np.ndarray, height: int = HEIGHTS[0]
    ) -> Iterator[tuple[int, slice, np.ndarray]]:
        """Yields member, rows and their last hidden units float32 [n, c], for immediate use."""
        inputs, sums, units = self._prediction
        for begin in range(0, len(actions), CHUNK):
            part = slice(begin, min(begin + CHUNK, len(actions)))
            count = part.stop - begin
            self.inputs(observations[part], actions[part], inputs[:count])
            # Only a few different heights, as code is compiled and kept for each; rows past the end
            # are ignored.
            rows = min(CHUNK, -(-count // height) * height)
            hidden = [h[:rows] for h in units]
            for e, member in enumerate(self.members):
                network = self._for_products(member)
                _forward(inputs[:rows], network.weights, member.biases, sums, hidden)
                yield e, part, hidden[-1][:count]

    def fit(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        preferences: np.ndarray,
        importance: np.ndarray | None = None,
    ) -> float:
        """Train every member for `epochs` epochs on its own sample of the labels.

        observations [n, 2, H, o] raw, actions [n, 2, H, a], preferences [n] (1 first, 0 second,
        .5 equal), importance [n] how much each counts. Returns the mean loss of the last epoch
        over draws and members.
        """
        settings, generator = self.settings, self.generator
        n, steps = len(preferences), 2 * observations.shape[2]
        inputs = np.empty((n, steps, self.layers[0]), self.dtype)
        self.inputs(observations, actions, inputs)
        number = batches(n, settings.batch_size)
        work = self._work(-(-n // number), steps)  # all draws distinct is possible
        step = self._step if compiles() else self._step_in_torch
        losses = []
        for e in range(len(self.members)):
            for epoch in bootstrap(
                *(n, settings.batch_size, settings.epochs, generator),
                *(settings.bootstrap, importance),
            ):
                keys = generator.integers(
                    2**32, size=(number, len(settings.hidden)), dtype=np.uint32
                )
                loss = 0.0
                for (pairs, weights), key in zip(epoch, keys, strict=True):
                    minibatch = Minibatch(inputs[pairs], preferences[pairs], weights, key)
                    loss += step(e, minibatch, work)
            losses.append(loss / number)
        return float(np.mean(losses))

    def _work(self, pairs: int, steps: int) -> Work:
        rows = pairs * steps
        return Work(
            sums=np.empty(rows * max(self.layers), self.dtype),
            hidden=self._units(rows),
            gradients=self._units(rows),
            differences=np.empty((pairs, self.layers[-2]), np.float32),
        )

    def _step(self, e: int, minibatch: Minibatch, work: Work) -> float:
        """One step of Adam for member `e` on the weighted sum of the losses of pairs [n, 2H, .]."""
        member, gradient = self.members[e], self._gradient
        loss = self._loss(member, minibatch, work)
        clip_gradient(gradient.flat, self.settings.max_grad_norm)
        gradient.flat[:] += np.float32(self.settings.weight_decay) * member.flat
        self.step[e] += 1
        adam(
            member.flat,
            gradient.flat,
            self.first[e],
            self.second[e],
            int(self.step[e]),
            float(self.settings.learning_rate),
            ADAM_EPSILON,
        )
        return loss

    def _loss(self, member: Member, minibatch: Minibatch, work: Work) -> float:
        """The weighted sum of the losses, with its gradient in `self._gradient`.

        A pair enters through D, the difference of its segments' sums of last hidden units:
        logit = D w. The output bias cancels and has no gradient.
        """
        inputs, answers, weights, keys = minibatch
        gradient, network = self._gradient, self._for_products(member)
        keep = 1.0 - self.settings.dropout
        n, steps = len(inputs), inputs.shape[1] // 2
        x = inputs.reshape(-1, inputs.shape[-1])
        hidden = [h[: len(x)] for h in work.hidden]
        gradients = [g[: len(x)] for g in work.gradients]

        _forward(x, network.weights, member.biases, work.sums, hidden, keep, keys)
        differences, w = work.differences[:n], member.weights[-1][:, 0]
        kernels.segment_differences(hidden[-1], steps, differences)
        logits = (differences @ w).astype(np.float64)
        loss = weights @ (np.logaddexp(0, logits) - answers * logits)
        slopes = (weights * (sigmoid(logits) - answers)).astype(np.float32)

        gradient.weights[-1][:, 0] = slopes @ differences
        gradient.biases[-1][:] = 0
        for layer in reversed(range(len(hidden))):
            h, g, bias = hidden[layer], gradients[layer], gradient.biases[layer]
            if layer == len(hidden) - 1:
                kernels.through_segment_differences(slopes, w, steps, h, keep, g, bias)
            else:
                multiply(gradients[layer + 1], network.weights[layer + 1].T, g)
                layers.through_activation(g, h, bias, keep)
            multiply((hidden[layer - 1] if layer else x).T, g, gradient.weights[layer])
        return float(loss)

    def _step_in_torch(self, e: int, minibatch: Minibatch, work: Work) -> float:
        """`_step` written out in torch: the same except for the bits that dropout draws."""
        import torch
        from torch.nn import functional

        from active_rlhf.rewards.torch_mlp import bradley_terry

        settings = self.settings
        flat = torch.from_numpy(self.flat[e]).requires_grad_()
        adam = torch.optim.Adam(
            [flat], lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        adam.state[flat] = {
            "step": torch.tensor(float(self.step[e])),
            "exp_avg": torch.from_numpy(self.first[e]),
            "exp_avg_sq": torch.from_numpy(self.second[e]),
        }
        torch.manual_seed(int(minibatch.keys[0]))
        member = views(flat, self.layers)
        h = torch.from_numpy(minibatch.inputs)
        for weight, bias in zip(member.weights[:-1], member.biases[:-1], strict=True):
            h = functional.leaky_relu(h @ weight + bias, float(layers.SLOPE))
            h = functional.dropout(h, settings.dropout)
        rewards = (h @ member.weights[-1] + member.biases[-1]).reshape(len(h), 2, -1)
        answers, weights = (torch.from_numpy(a).float() for a in minibatch[1:3])
        loss = bradley_terry(rewards, answers) @ weights
        loss.backward()
        torch.nn.utils.clip_grad_norm_([flat], settings.max_grad_norm)
        adam.step()
        self.step[e] += 1
        return loss.item()

    def state_dict(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in self.STATE} | self.scales()

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        for name in self.STATE:
            getattr(self, name)[:] = state[name]
        self.load_scales(state)

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights and biases `members.<member>.<kind>.<layer>`, and the scales."""
        arrays = {
            f"members.{e}.{kind}.{layer}": value
            for e, member in enumerate(self.members)
            for kind in ("weights", "biases")
            for layer, value in enumerate(getattr(member, kind))
        }
        return arrays | self.scales()


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

    Without `keys` nothing is dropped. Weights are in the products' number type, biases float32.
    """
    for i, (weight, bias, a) in enumerate(zip(weights, biases, hidden, strict=False)):
        z = sums[: a.size].reshape(a.shape)
        multiply(x, weight, z)
        if keys is None or keep == 1:
            layers.activate(z, bias, a)
        else:
            layers.activate_and_drop(z, bias, keep, keys[i], a)
        x = a
