"""What is seen of an Atari screen: the lighter of two frames, made smaller (Mnih et al. 2015)."""

from functools import cache

import numpy as np

from active_rlhf.compute.compilation import compiled


@compiled
def shrink(first, second, rows, row_weights, columns, column_weights, line, out):
    """The lighter of two frames uint8 [h, w] at each pixel, by area in `out` uint8.

    rows, row_weights: of `areas` from h; columns, column_weights: from w; line: float32 [w], to
    work in.
    """
    for i in range(out.shape[0]):
        line[:] = np.float32(0)
        for k in range(row_weights.shape[1]):
            y, weight = rows[i] + k, row_weights[i, k]
            for x in range(line.size):
                line[x] += weight * np.float32(max(first[y, x], second[y, x]))
        for j in range(out.shape[1]):
            total = np.float32(0)
            for k in range(column_weights.shape[1]):
                total += column_weights[j, k] * line[columns[j] + k]
            out[i, j] = np.uint8(np.rint(total))


@cache
def areas(size: int, smaller: int) -> tuple[np.ndarray, np.ndarray]:
    """How a line of `size` pixels is averaged to a smaller one.

    Returns the first pixel that each result covers, int32 [smaller], and the weights of it and
    those after it, float32 [smaller, k].
    """
    bounds = np.arange(smaller + 1) * size / smaller
    most = int(np.ceil(size / smaller)) + 1
    first = np.minimum(np.floor(bounds[:-1] + 1e-9).astype(np.int32), size - most)
    pixel = first[:, None] + np.arange(most)
    covered = np.minimum(pixel + 1, bounds[1:, None]) - np.maximum(pixel, bounds[:-1, None])
    return first, (np.maximum(covered, 0) * smaller / size).astype(np.float32)
