"""A small variational autoencoder of observation segments, whose latents tell segments apart.

The network is a convolution whose kernel is its stride: the first layer joins FIRST steps, each
further one JOINED positions of the layer below, so that every layer is a reshape and a matrix
product; the decoder is its mirror image. Trained as a denoising VAE (Kingma and Welling 2014;
Im et al. 2017): reconstruct the clean segment from a noisy one through a sampled latent.

Its gradient is written out, as for the reward networks: with torch's autograd, fits take 1.8 times
as long, and a whole run on HalfCheetah 7% longer. Tests compare it with torch's convolutions.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from active_rlhf.compute import layers
from active_rlhf.compute.adam import adam
from active_rlhf.compute.precision import dtype_of, multiply, restored, store, stored
from active_rlhf.study.settings import VAE

if TYPE_CHECKING:
    from active_rlhf.behaviour.store import Segments

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


def _forward(x: np.ndarray, network: Layers, biases: Layers) -> list[np.ndarray]:
    """`x` and the output of each layer: LeakyReLU after all but the last, which is just a product.

    Weights come from `network`, in the products' number type, biases from `biases`, float32. A
    layer reads the output below it in rows of its own width, which joins or splits positions.
    """
    values = [x]
    for i, ((weight, _), (_, bias)) in enumerate(zip(network, biases, strict=True)):
        below = values[-1].reshape(-1, len(weight))
        z = np.empty((len(below), weight.shape[1]), x.dtype)
        multiply(below, weight, z)
        out = z
        if i < len(network) - 1:
            out = np.empty_like(z)
            layers.activate(z, bias, out)
        values.append(out)
    return values


def _backward(
    gradient: np.ndarray, values: list[np.ndarray], network: Layers, out: Layers, first: int
) -> np.ndarray:
    """Parameter gradients into `out` given that of the output; returns that of layer `first`.

    It leaves out the last layer's bias, as `_forward` does.
    """
    for i in reversed(range(len(network))):
        weight, _ = network[i]
        below, g = values[i].reshape(-1, len(weight)), gradient.reshape(-1, weight.shape[1])
        if i < len(network) - 1:
            layers.through_activation(g, values[i + 1], out[i][1])
        multiply(below.T, g, out[i][0])
        if i >= first:
            gradient = np.empty_like(below)
            multiply(g, weight.T, gradient)
    return gradient


class SegmentVAE:
    """The VAE, with the observation normaliser of its last fit.

    Segments have `length` steps of `observations` numbers. With
    precision `bfloat16` it is trained as the reward networks are, on rounded rows and weights; it
    encodes in float32. All randomness (initial weights, minibatch order, noise, latents) comes from
    `generator`.
    """

    def __init__(
        self,
        observations: int,
        length: int,
        generator: np.random.Generator,
        settings: VAE,
    ):
        self.settings, self.generator = settings, generator
        self.shape = length, observations
        self.steps = length * observations  # numbers in a segment
        channels, latent = settings.channels, settings.latent
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
        self._dtype = dtype_of(settings.precision)
        self._rounded = self.flat if self._dtype == np.float32 else np.empty(size, self._dtype)
        whole = [_views(flat, shapes) for flat in (self.flat, self._rounded, self.gradient)]
        (self.encoder, self._rounded_encoder, self._encoder_gradient) = (x[:split] for x in whole)
        (self.decoder, self._rounded_decoder, self._decoder_gradient) = (x[split:] for x in whole)
        for weight, bias in whole[0]:
            # torch's default for linear layers
            bound = 1 / np.sqrt(len(weight))
            weight[:] = generator.uniform(-bound, bound, weight.shape)
            bias[:] = generator.uniform(-bound, bound, bias.shape)
        self.mean = np.zeros(observations, np.float32)
        self.scale = np.ones(observations, np.float32)

    @property
    def parameters(self) -> np.ndarray:
        """Everything that `fit` changes, [p]."""
        return self.flat

    def _observe(self, parts: Iterable[np.ndarray]) -> None:
        """Compute the normaliser from raw segments, which come in parts [., H, o]."""
        moments = [(len(x), x.mean((0, 1), np.float64), x.var((0, 1), np.float64)) for x in parts]
        counts, means, variances = map(np.array, zip(*moments, strict=True))
        mean = np.average(means, axis=0, weights=counts)
        self.mean[:] = mean
        variance = np.average(variances + (means - mean) ** 2, axis=0, weights=counts)
        self.scale[:] = np.maximum(np.sqrt(variance), 1e-6)

    def _inputs(self, segments: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Raw segments [n, H, o] as standardised rows [n, p], with zeros up to whole positions.

        They are written to `out`, in its number type, or to a new float32 array.
        """
        x = np.empty((len(segments), self.padded), np.float32) if out is None else out
        x[:, self.steps :] = 0
        length, _ = self.shape
        mean, scale = np.tile(self.mean, length), np.tile(self.scale, length)
        rows = segments.reshape(len(segments), self.steps)
        layers.standardise(rows, mean, scale, CLIP, x[:, : self.steps])
        return x

    def fit(self, segments: "Segments | np.ndarray") -> float:
        """Train on raw segments [n, H, o] for `epochs` epochs, starting from the current weights.

        The normaliser becomes that of these segments. Returns the mean loss of the last epoch.
        """
        settings, generator = self.settings, self.generator
        n, size = len(segments), settings.batch_size
        # Only part of them raw at a time: all at once would be the largest thing in a run's memory.
        parts = [slice(begin, begin + size) for begin in range(0, n, size)]
        self._observe(segments[part] for part in parts)
        rows = np.empty((n, self.padded), self._dtype)
        for part in parts:
            self._inputs(segments[part], rows[part])
        # One draw serves all minibatches, each starting at a random row: fresh noise for every
        # minibatch would take as long as the products.
        noise = generator.standard_normal((2 * size, self.padded), np.float32)
        noise *= np.float32(settings.noise)
        noise[:, self.steps :] = 0
        losses: list[float] = []
        for _ in range(settings.epochs):
            order, losses = generator.permutation(n), []
            for part in parts:
                clean = rows[order[part]]
                row = int(generator.integers(size + 1))
                noisy = layers.added(clean, noise[row : row + len(clean)])
                sample = generator.standard_normal((len(clean), settings.latent), np.float32)
                losses.append(self._loss(clean, noisy, sample))
                self.gradient += np.float32(settings.weight_decay) * self.flat
                self.step += 1
                adam(
                    self.flat,
                    self.gradient,
                    self.first,
                    self.second,
                    self.step,
                    settings.learning_rate,
                    1e-8,
                )
        return float(np.mean(losses))

    def _loss(self, clean: np.ndarray, noisy: np.ndarray, sample: np.ndarray) -> float:
        """Mean squared error + kl_weight KL(q | N(0, I)), with its gradient in `self.gradient`.

        The error is a mean over all numbers, KL a sum over latents and a mean over segments.
        """
        n, z = sample.shape
        beta = np.float32(self.settings.kl_weight / n)
        store(self.flat, self._rounded)
        values = _forward(noisy, self._rounded_encoder, self.encoder)
        codes = restored(values[-1]) + self.encoder[-1][1]
        mean, log_variance = codes[:, :z], codes[:, z:]
        sd = np.exp(log_variance / 2)
        deviation = sd * sample
        latents = stored(mean + deviation, self._dtype)
        outputs = _forward(latents, self._rounded_decoder, self.decoder)
        # Gradient of the mean with respect to each output.
        scale, bias = np.float32(2 / (n * self.steps)), self._decoder_gradient[-1][1]
        error = outputs[-1].reshape(clean.shape)
        squares = layers.through_squares(error, self.decoder[-1][1], clean, self.steps, scale, bias)
        kl = (mean * mean + sd * sd - log_variance - 1).sum() / 2
        loss = squares / (n * self.steps) + beta * kl

        g = _backward(error, outputs, self._rounded_decoder, self._decoder_gradient, first=0)
        g = restored(g)
        g_log_variance = g * deviation / 2 + beta / 2 * (sd * sd - 1)
        g = np.concatenate([g + beta * mean, g_log_variance], axis=1)
        g.sum(axis=0, out=self._encoder_gradient[-1][1])
        g = stored(g, self._dtype)
        _backward(g, values, self._rounded_encoder, self._encoder_gradient, first=1)
        return float(loss)

    def encode(self, segments: np.ndarray) -> np.ndarray:
        """Latent means float32 [n, z] of raw segments [n, H, o], standardised as in `fit`."""
        codes = _forward(self._inputs(segments), self.encoder, self.encoder)[-1]
        return (codes + self.encoder[-1][1])[:, : self.settings.latent]

    def state_dict(self) -> dict[str, Any]:
        """Weights, normaliser and optimiser: everything that `fit` and `encode` depend on."""
        arrays = {key: getattr(self, key).copy() for key in STATE}
        return arrays | {"step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of a VAE of the same configuration."""
        for key in STATE:
            getattr(self, key)[:] = state[key]
        self.step = int(state["step"])
