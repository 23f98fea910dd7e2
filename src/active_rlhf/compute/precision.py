"""Arrays kept in float32 or in bfloat16, and their products.

bfloat16 is the upper half of a float32: the same range, with 8 bits of precision. Some processors
multiply it at twice the speed of float32, summing in float32. numpy has no such type, so these
arrays are uint16 holding the bits, and torch multiplies them.
"""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from active_rlhf.compute.compilation import body_of, compiled, compiles

if TYPE_CHECKING:
    import torch

# torch keeps code for each shape it multiplied; to make it again costs nothing that shows.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")

DTYPES: dict[str, type[np.generic]] = {"float32": np.float32, "bfloat16": np.uint16}


def dtype_of(precision: str) -> type[np.generic]:
    """The dtype for arrays of a precision; without compiled code, always float32.

    `auto`, which a run's spec never says, is whatever multiplies faster here.
    """
    if precision == "auto":
        from active_rlhf.compute.products import measured

        precision = measured().faster
    return DTYPES[precision if compiles() else "float32"]


def widened(value):
    """The float32 that a stored number represents; only in compiled code."""
    raise NotImplementedError


def narrowed(value, like):
    """A float32 in the type of `like`, rounded to nearest, ties to even; in compiled code only."""
    raise NotImplementedError


def _bfloat16(kind: Any) -> bool:
    """Whether numba's type of a stored number is that of bfloat16's bits."""
    from numba import types

    return kind == types.uint16


@body_of(widened)
def _widened(value):
    if _bfloat16(value):
        return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)
    return lambda value: value


@body_of(narrowed)
def _narrowed(value, like):
    if not _bfloat16(like):
        return lambda value, like: value

    def rounded(value, like):
        bits = np.float32(value).view(np.uint32)
        odd = np.uint32((bits >> np.uint32(16)) & np.uint32(1))
        return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

    return rounded


@compiled
def _store(values, out):
    for i in range(values.size):
        out[i] = narrowed(values[i], out[i])


def store(values: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Write contiguous float32 `values` into `out`, float32 or bfloat16, of the same shape."""
    if out.dtype == np.float32:
        np.copyto(out, values)
    else:
        _store(values.ravel(), out.ravel())
    return out


def stored(values: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
    """Contiguous float32 `values` in a new array, float32 or bfloat16."""
    return store(values, np.empty(values.shape, dtype))


def restored(array: np.ndarray) -> np.ndarray:
    """The float32 values of a float32 or bfloat16 array."""
    if array.dtype == np.float32:
        return array
    return (array.astype(np.uint32) << 16).view(np.float32)


def load() -> None:
    """Import what products need, which would otherwise delay the first by a second or two."""
    import torch  # noqa: F401


def tensor(array: np.ndarray) -> "torch.Tensor":
    """A tensor that shares a float32 or bfloat16 array; torch is limited to one thread."""
    import torch

    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)
    whole = torch.from_numpy(array)
    return whole if array.dtype == np.float32 else whole.view(torch.bfloat16)


def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """The matrix product of `a` and `b`, both float32 or both bfloat16, into `out`.

    Sums are in float32; `out` has the type of `a`, or float32.
    """
    if a.dtype == np.float32:
        np.matmul(a, b, out=out)
        return
    import torch

    if out.dtype == a.dtype:
        torch.mm(tensor(a), tensor(b), out=tensor(out))
    else:
        tensor(out).copy_(torch.mm(tensor(a), tensor(b)))
