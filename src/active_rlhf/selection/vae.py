"""A small variational autoencoder of observation segments, whose latents tell segments apart.

The network is a convolution whose kernel is its stride: the first layer joins FIRST steps, each
further one JOINED positions of the layer below, so that every layer is a reshape and a matrix
product; the decoder is its mirror image. Trained as a denoising VAE (Kingma and Welling 2014;
Im et al. 2017): reconstruct the clean segment from a noisy one through a sampled latent.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from active_rlhf import kernels, layers
from active_rlhf.segments import Segments

FIRST, JOINED = 5, 2
CLIP = 10.0  # of standardised observations

STATE = ("flat", "first", "second", "mean", "scale")

Layers = list[tuple[np.ndarray, np.ndarray]]


def _views(flat: np.ndarray, shapes: list[tuple[int, int]]) -> Layers:
    """Weights [inputs, outputs] and biases [outputs] of each layer, cut from one buffer."""
    layers, begin = [], 0
    for inputs, outputs in shapes:
        middle, end = begin + inputs * outputs, begin + (inputs + 1) * outputs
        layers.append((flat[begin:middle].reshape(inputs, outputs), flat[middle:end]))
        begin = end
    return layers


def _forward(x: np.ndarray, network: Layers) -> list[np.ndarray]:
    """`x` and the output of each layer, with LeakyReLU after all but the last.

    A layer reads what is below it in rows as wide as itself: this joins or splits positions.
    """
    values = [x]
    for i, (weight, bias) in enumerate(network):
        z = values[-1].reshape(-1, len(weight)) @ weight
        if i < len(network) - 1:
            values.append(np.empty_like(z))
            layers.activate(z, bias, values[-1])
        else:
            z += bias
            values.append(z)
    return values


def _backward(
    gradient: np.ndarray, values: list[np.ndarray], network: Layers, out: Layers, first: int
) -> np.ndarray:
    """Parameter gradients into `out` given that of the output; returns that of layer `first`."""
    for i in reversed(range(len(network))):
        weight, _ = network[i]
        below, g = values[i].reshape(-1, len(weight)), gradient.reshape(-1, weight.shape[1])
        if i < len(network) - 1:
            layers.through_activation(g, values[i + 1], out[i][1])
        else:
            g.sum(axis=0, out=out[i][1])
        np.matmul(below.T, g, out=out[i][0])
        if i >= first:
            gradient = g @ weight.T
    return gradient


class SegmentVAE:
    """The VAE with the observation normaliser it was last fitted with.

    `config` is a run's `vae` section; segments have `length` steps of `observations` numbers. All
    randomness (initial weights, minibatch order, noise, latents) comes from `generator`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        observations: int,
        length: int,
        generator: np.random.Generator,
    ):
        self.config, self.generator = config, generator
        self.shape = length, observations
        self.steps = length * observations  # numbers in a segment
        channels, latent = config["channels"], config["latent"]
        joined = [FIRST] + [JOINED] * (len(channels) - 1)
        positions = -(-length // int(np.prod(joined)))
        self.padded = positions * int(np.prod(joined)) * observations
        encoder = [
            (size * below, above)
            for size, below, above in zip(joined, [observations, *channels], channels, strict=False)
        ]
        top = positions * channels[-1]
        decoder = [(latent, top), *((outputs, inputs) for inputs, outputs in reversed(encoder))]
        shapes = [*encoder, (top, 2 * latent), *decoder]
        split = len(encoder) + 1
        size = sum((inputs + 1) * outputs for inputs, outputs in shapes)
        self.flat, self.gradient = np.empty(size, np.float32), np.zeros(size, np.float32)
        self.first, self.second = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.step = 0
        layers, gradients = _views(self.flat, shapes), _views(self.gradient, shapes)
        self.encoder, self.decoder = layers[:split], layers[split:]
        self._encoder_gradient, self._decoder_gradient = gradients[:split], gradients[split:]
        for weight, bias in layers:
            # torch's default for linear layers
            bound = 1 / np.sqrt(len(weight))
            weight[:] = generator.uniform(-bound, bound, weight.shape)
            bias[:] = generator.uniform(-bound, bound, bias.shape)
        self.mean = np.zeros(observations, np.float32)
        self.scale = np.ones(observations, np.float32)

    def _inputs(self, segments: np.ndarray) -> np.ndarray:
        """Raw segments [n, H, o] as standardised rows [n, p], with zeros up to whole positions."""
        x = np.empty((len(segments), self.padded), np.float32)
        x[:, self.steps :] = 0
        length, _ = self.shape
        mean, scale = np.tile(self.mean, length), np.tile(self.scale, length)
        rows = segments.reshape(len(segments), self.steps)
        layers.standardise(rows, mean, scale, CLIP, x[:, : self.steps])
        return x

    def fit(self, segments: Segments | np.ndarray) -> float:
        """Train on raw segments [n, H, o] for `epochs` epochs, from the present weights.

        The normaliser becomes that of these segments. Returns the mean loss of the last epoch.
        """
        config, generator = self.config, self.generator
        n, size = len(segments), config["batch_size"]
        # Only ever a part of them at once: all would be the largest thing in a run's memory.
        parts = [slice(begin, begin + size) for begin in range(0, n, size)]
        count = n * self.shape[0]
        mean = sum(segments[part].sum(axis=(0, 1), dtype=np.float64) for part in parts) / count
        squares = sum(((segments[part] - mean) ** 2).sum(axis=(0, 1)) for part in parts)
        self.mean[:] = mean
        self.scale[:] = np.maximum(np.sqrt(squares / count), 1e-6)
        # One draw serves all minibatches, each from a random row on: fresh noise for every
        # minibatch would take as long as the products.
        noise = generator.standard_normal((2 * size, self.padded), np.float32)
        noise *= np.float32(config["noise"])
        noise[:, self.steps :] = 0
        losses: list[float] = []
        for _ in range(config["epochs"]):
            order, losses = generator.permutation(n), []
            for part in parts:
                clean = self._inputs(segments[order[part]])
                row = int(generator.integers(size + 1))
                sample = generator.standard_normal((len(clean), config["latent"]), np.float32)
                losses.append(self._loss(clean, clean + noise[row : row + len(clean)], sample))
                self.gradient += np.float32(config["weight_decay"]) * self.flat
                self.step += 1
                kernels.adam(
                    *(self.flat, self.gradient, self.first, self.second),
                    *(self.step, config["learning_rate"], 1e-8),
                )
        return float(np.mean(losses))

    def _loss(self, clean: np.ndarray, noisy: np.ndarray, sample: np.ndarray) -> float:
        """Mean squared error + kl_weight KL(q | N(0, I)), with its gradient in `self.gradient`.

        The error is a mean over all numbers, KL a sum over latents and a mean over segments.
        """
        n, z = sample.shape
        beta = np.float32(self.config["kl_weight"] / n)
        codes = _forward(noisy, self.encoder)
        mean, log_variance = codes[-1][:, :z], codes[-1][:, z:]
        sd = np.exp(log_variance / 2)
        deviation = sd * sample
        outputs = _forward(mean + deviation, self.decoder)
        error = outputs[-1].reshape(clean.shape)
        error -= clean
        error[:, self.steps :] = 0
        kl = (mean * mean + sd * sd - log_variance - 1).sum() / 2
        loss = np.vdot(error, error) / (n * self.steps) + beta * kl

        error *= np.float32(2 / (n * self.steps))
        g = _backward(error, outputs, self.decoder, self._decoder_gradient, first=0)
        g_log_variance = g * deviation / 2 + beta / 2 * (sd * sd - 1)
        g = np.concatenate([g + beta * mean, g_log_variance], axis=1)
        _backward(g, codes, self.encoder, self._encoder_gradient, first=1)
        return float(loss)

    def encode(self, segments: np.ndarray) -> np.ndarray:
        """Latent means float32 [n, z] of raw segments [n, H, o], standardised as in `fit`."""
        return _forward(self._inputs(segments), self.encoder)[-1][:, : self.config["latent"]]

    def state_dict(self) -> dict[str, Any]:
        """Weights, normaliser and optimiser: all that `fit` and `encode` go on from."""
        arrays = {key: getattr(self, key).copy() for key in STATE}
        return arrays | {"step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a VAE of the same configuration."""
        for key in STATE:
            getattr(self, key)[:] = state[key]
        self.step = int(state["step"])
