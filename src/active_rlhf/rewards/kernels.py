"""Further steps of the compiled reward networks, besides products and layers, each in one pass."""

import numpy as np

from active_rlhf.compute.compilation import compiled
from active_rlhf.compute.layers import slope
from active_rlhf.compute.precision import narrowed, widened

_ZERO, _ONE = np.float32(0), np.float32(1)


@compiled
def segment_differences(x, steps, out):
    """Sum over the first segment's rows minus that over the second's: out [n, c] of x [n2H, c]."""
    out[:] = _ZERO
    for pair in range(out.shape[0]):
        first = 2 * pair * steps
        for i in range(first, first + steps):
            for j in range(out.shape[1]):
                out[pair, j] += widened(x[i, j]) - widened(x[i + steps, j])


@compiled
def through_segment_differences(slopes, weight, steps, out, keep, gradient, bias):
    """Backpropagate through the product with `weight` [c], `segment_differences` and the activation
    below.

    `slopes` [n] is the gradient of the product, `out` [n2H, c] what the activation gave. Its
    argument's gradient goes to `gradient`, the sums of columns to `bias`.
    """
    scale = np.float32(1.0 / keep)
    bias[:] = _ZERO
    for pair in range(slopes.size):
        first = 2 * pair * steps
        for i in range(first, first + 2 * steps):
            sign = _ONE if i < first + steps else -_ONE
            for j in range(weight.size):
                value = sign * slopes[pair] * weight[j] * slope(widened(out[i, j]), scale)
                gradient[i, j] = narrowed(value, gradient[i, j])
                bias[j] += value
