"""Perceptrons of any depth: initial weights, and the outputs of a saved one."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
}


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
