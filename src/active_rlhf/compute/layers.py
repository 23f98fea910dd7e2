"""Everything a layer does besides its matrix product, forwards and backwards, each in one pass.

Arrays may be float32 or bfloat16 as in `precision`; sums run in float32.
"""

import numpy as np

from active_rlhf.compute.compilation import compiled, compiles
from active_rlhf.compute.precision import narrowed, widened

SLOPE = np.float32(0.01)  # of LeakyReLU
_ZERO, _ONE = np.float32(0), np.float32(1)


@compiled
def _standardise(rows, mean, inverse, limit, out):
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            z = np.float32((rows[i, j] - mean[j]) * inverse[j])
            out[i, j] = narrowed(min(max(z, -limit), limit), out[i, j])


def standardise(
    rows: np.ndarray, mean: np.ndarray, scale: np.ndarray, limit: float, out: np.ndarray
) -> None:
    """Write (rows [n, c] - mean [c]) / scale [c], clipped to +-`limit`, into `out` [n, c]."""
    if compiles():
        shift, inverse = np.asarray(mean, np.float64), 1 / np.asarray(scale, np.float64)
        _standardise(rows, shift, inverse, np.float32(limit), out)
    else:
        np.copyto(out, np.clip((rows - mean) / scale, -limit, limit))


@compiled
def _mix(counter, key):
    """A 32-bit hash of a counter: random bits that need no state and vectorise."""
    x = np.uint32(counter ^ key)
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0xD35A2D97))
    return np.uint32(x ^ (x >> np.uint32(15)))


@compiled
def _leaky(value):
    return value if value > _ZERO else SLOPE * value


@compiled
def _activate(x, bias, out):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = narrowed(_leaky(widened(x[i, j]) + bias[j]), out[i, j])


def activate(x: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
    """LeakyReLU(x [n, c] + bias [c]) into `out`, which may not share memory with `x`."""
    if compiles():
        _activate(x, bias, out)
    else:
        np.add(x, bias, out=out)
        np.maximum(out, SLOPE * out, out=out)


@compiled
def activate_and_drop(x, bias, keep, key, out):
    """`activate`, then inverted dropout that keeps a share `keep` chosen by `key`.

    `out` must not share memory with `x`: the loop would not be vectorised.
    """
    rows, columns = x.shape
    scale = np.float32(1.0 / keep)
    limit = np.uint32(min((1.0 - keep) * 2.0**32, 2.0**32 - 1))
    for i in range(rows):
        offset = np.uint32(i * columns)
        for j in range(columns):
            value = _leaky(widened(x[i, j]) + bias[j]) * scale
            kept = _mix(np.uint32(offset + np.uint32(j)), key) >= limit
            out[i, j] = narrowed(value if kept else _ZERO, out[i, j])


@compiled
def slope(h, scale):
    """The slope of `activate_and_drop` where its output was `h`."""
    return scale if h > _ZERO else (scale * SLOPE if h < _ZERO else _ZERO)


@compiled
def _through_activation(gradient, out, scale, bias):
    bias[:] = _ZERO
    for i in range(gradient.shape[0]):
        for j in range(gradient.shape[1]):
            value = widened(gradient[i, j]) * slope(widened(out[i, j]), scale)
            gradient[i, j] = narrowed(value, gradient[i, j])
            bias[j] += value


def through_activation(
    gradient: np.ndarray, out: np.ndarray, bias: np.ndarray, keep: float = 1.0
) -> None:
    """Backpropagate through an activation in place, given its output `out`.

    `bias` becomes the column sums, which are its gradient.
    """
    if compiles():
        _through_activation(gradient, out, np.float32(1 / keep), bias)
    else:
        gradient *= np.where(out > 0, _ONE, np.where(out < 0, SLOPE, _ZERO)) / np.float32(keep)
        gradient.sum(axis=0, out=bias)


@compiled
def _added(x, y, out):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = narrowed(widened(x[i, j]) + y[i, j], out[i, j])


def added(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x + y [n, c], as `x`; `y` is float32."""
    if not compiles():
        return x + y
    out = np.empty_like(x)
    _added(x, y, out)
    return out


@compiled
def _through_squares(x, bias, target, count, scale, gradient, squares):
    gradient[:] = _ZERO
    for i in range(x.shape[0]):
        for k in range(x.shape[1]):
            within = min(max(count - k * x.shape[2], 0), x.shape[2])
            # Two loops: with more arrays in one it would not be vectorised.
            for j in range(within):
                error = widened(x[i, k, j]) + bias[j] - widened(target[i, k, j])
                x[i, k, j] = narrowed(scale * error, x[i, k, j])
            for j in range(within):
                scaled = widened(x[i, k, j])
                gradient[j] += scaled
                squares[j] += scaled * scaled
            x[i, k, within:] = 0


def through_squares(
    x: np.ndarray,
    bias: np.ndarray,
    target: np.ndarray,
    count: int,
    scale: np.float32,
    gradient: np.ndarray,
) -> float:
    """Backpropagate in place through the squares of x [n, k c] + bias [c], repeated, - target [n, k
    c].

    Only the first `count` columns have an error. `x` becomes it times `scale`, `gradient` the sums
    of that over rows and repetitions. Returns the sum of the squares.
    """
    if compiles():
        squares = np.zeros(bias.size, np.float32)
        by_width = len(x), -1, bias.size
        _through_squares(
            x.reshape(by_width), bias, target.reshape(by_width), count, scale, gradient, squares
        )
        return float(squares.sum()) / float(scale) ** 2
    x += np.tile(bias, x.shape[1] // bias.size) - target
    x[:, count:] = 0
    squares = np.vdot(x, x)
    x *= scale
    x.reshape(-1, bias.size).sum(axis=0, out=gradient)
    return float(squares)
