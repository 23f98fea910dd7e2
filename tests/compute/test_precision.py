"""bfloat16 storage and products against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from active_rlhf.compute.precision import DTYPES, multiply, restored, stored

NUMBERS = st.floats(width=32, allow_nan=False)


def as_torch(bits: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(bits).view(torch.bfloat16)


@given(st.lists(NUMBERS, min_size=1))
def test_rounding_equals_torch(values):
    x = np.array(values, np.float32)
    got = stored(x, DTYPES["bfloat16"])
    expected = torch.from_numpy(x).bfloat16()
    assert torch.equal(as_torch(got), expected)
    np.testing.assert_array_equal(restored(got), expected.float().numpy())


def test_values_that_are_not_finite_stay_so():
    x = np.array([np.nan, np.inf, -np.inf], np.float32)
    got = as_torch(stored(x, DTYPES["bfloat16"]))
    assert got.isnan().tolist() == [True, False, False]
    assert got.isinf().tolist() == [False, True, True]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("inputs", "output", "tolerance"),
    [("float32", "float32", 1e-6), ("bfloat16", "bfloat16", 2**-8), ("bfloat16", "float32", 2**-8)],
)
def test_products(inputs, output, tolerance, transposed):
    g = np.random.default_rng(0)
    a, b = g.standard_normal((2, 40, 40)).astype(np.float32)
    operands = [stored(x, DTYPES[inputs]) for x in (a, b)]
    out = np.empty((40, 40), DTYPES[output])
    multiply(operands[0].T if transposed else operands[0], operands[1], out)
    if inputs == "bfloat16":
        a, b = (as_torch(x).float().numpy() for x in operands)
    exact = (a.T if transposed else a).astype(np.float64) @ b
    got = out if output == "float32" else as_torch(out).float().numpy()
    scale = np.abs(exact).max()
    np.testing.assert_allclose(got, exact, atol=tolerance * scale)
