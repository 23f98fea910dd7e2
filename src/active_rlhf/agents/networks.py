"""Perceptrons of any depth and convolutions: initial weights, and the outputs of saved ones."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
}


STRIDES = (4, 2, 1)  # of the convolutions (Mnih et al. 2015)


def orthogonal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """A uniformly random matrix [rows, columns]: orthonormal rows or columns, whichever are fewer.

    Q of a Gaussian matrix, with R's diagonal made positive (Mezzadri 2007, section 5).
    """
    rows, columns = shape
    gaussian = generator.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(gaussian)
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T


def initial_weights(
    sizes: Sequence[int], gain: float, generator: np.random.Generator
) -> list[np.ndarray]:
    """Orthogonal weights [inputs, outputs] of each layer: gain sqrt 2, and `gain` of the last.

    The initialisation of CleanRL's continuous-action PPO, whose biases are zero.
    """
    gains = [np.sqrt(2)] * (len(sizes) - 2) + [gain]
    shapes = pairwise(sizes)
    return [g * orthogonal(shape, generator) for g, shape in zip(gains, shapes, strict=True)]


def features(arrays: Mapping[str, np.ndarray], activation: str, x: np.ndarray) -> np.ndarray:
    """What saved convolutions and dense layers make of pictures [n, channels, height, width],
    float32 in [0, 1]: the last layer [n, f]."""
    act = ACTIVATIONS[activation]
    for layer, stride in enumerate(STRIDES, 1):
        weight, bias = arrays[f"pixels.w{layer}"], arrays[f"pixels.b{layer}"]
        squares = sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
        x = np.tensordot(squares, weight, axes=((1, 4, 5), (1, 2, 3))) + bias
        x = np.moveaxis(act(x), -1, 1)
    x = x.reshape(len(x), -1)
    layer = 1
    while f"trunk.w{layer}" in arrays:
        x = act(x @ arrays[f"trunk.w{layer}"] + arrays[f"trunk.b{layer}"])
        layer += 1
    return x


def outputs(
    arrays: Mapping[str, np.ndarray], role: str, activation: str, x: np.ndarray
) -> np.ndarray:
    """Outputs of a saved network for float32 inputs [n, o].

    arrays: a run's saved policy, whose names are `<role>.w1`, `<role>.b1`, ...
    """
    depth = sum(name.startswith(f"{role}.w") for name in arrays)
    for layer in range(1, depth + 1):
        x = x @ arrays[f"{role}.w{layer}"] + arrays[f"{role}.b{layer}"]
        x = ACTIVATIONS[activation](x) if layer < depth else x
    return x
