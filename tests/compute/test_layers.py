"""What layers do besides products, compiled, against numpy and torch's autograd."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from active_rlhf.compute import layers
from active_rlhf.compute.precision import DTYPES, restored, stored
from active_rlhf.rewards import kernels

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 40))


@pytest.mark.parametrize("precision", DTYPES)
@given(SHAPES, st.integers(0, 1000))
def test_rows_are_standardised_into_part_of_wider_ones(precision, shape, seed):
    g = np.random.default_rng(seed)
    rows = g.normal(3, 20, shape).astype(np.float32)
    mean, scale = g.normal(size=shape[1]), g.uniform(0.1, 4, shape[1])
    wide = np.full((shape[0], shape[1] + 3), 7, DTYPES[precision])
    layers.standardise(rows, mean, scale, 10.0, wide[:, 1:-2])
    expected = torch.from_numpy(np.clip((rows - mean) / scale, -10, 10)).float()
    if precision == "bfloat16":
        expected = expected.bfloat16().float()
    tolerance = {"float32": 1e-6, "bfloat16": 2**-8}[precision]  # a tie may fall to either side
    np.testing.assert_allclose(restored(wide[:, 1:-2]), expected, rtol=tolerance)
    assert (wide[:, [0, -2, -1]] == 7).all()


@given(SHAPES, st.integers(0, 1000))
def test_activation_and_its_gradient_equal_torch(shape, seed):
    g = np.random.default_rng(seed)
    x, bias, above = (g.normal(size=s).astype(np.float32) for s in (shape, shape[1], shape))
    out, below = np.empty_like(x), np.empty_like(bias)
    layers.activate(x, bias, out)
    tensors = [torch.from_numpy(array.copy()).requires_grad_() for array in (x, bias)]
    expected = functional.leaky_relu(tensors[0] + tensors[1], 0.01)
    expected.backward(torch.from_numpy(above.copy()))
    layers.through_activation(above, out, below)
    np.testing.assert_allclose(out, expected.detach(), rtol=1e-6)
    np.testing.assert_allclose(above, tensors[0].grad, rtol=1e-6)
    np.testing.assert_allclose(below, tensors[1].grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", DTYPES)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 9), st.data())
def test_squares_and_their_gradient_equal_torch(precision, rows, repeats, width, data):
    g = np.random.default_rng(data.draw(st.integers(0, 1000)))
    count = data.draw(st.integers(1, repeats * width))
    shape, scale = (rows, repeats * width), np.float32(2 / (rows * count))
    x, target = (stored(g.normal(size=shape).astype(np.float32), DTYPES[precision]) for _ in "12")
    bias, gradient = g.normal(size=width).astype(np.float32), np.empty(width, np.float32)
    tensors = [torch.from_numpy(array.copy()).requires_grad_() for array in (restored(x), bias)]
    error = tensors[0] + tensors[1].repeat(repeats) - torch.from_numpy(restored(target))
    loss = (error[:, :count] ** 2).mean()
    loss.backward()
    squares = layers.through_squares(x, bias, target, count, scale, gradient)
    tolerance = {"float32": 1e-4, "bfloat16": 2**-7}[precision]
    assert squares / (rows * count) == pytest.approx(loss.item(), rel=tolerance, abs=1e-9)
    np.testing.assert_allclose(restored(x), tensors[0].grad, rtol=tolerance, atol=1e-8)
    size = np.abs(tensors[0].grad.numpy()).sum()
    np.testing.assert_allclose(gradient, tensors[1].grad, atol=tolerance * size + 1e-8)


@pytest.mark.parametrize("precision", DTYPES)
@given(SHAPES, st.integers(0, 1000))
def test_a_sum_is_rounded_once(precision, shape, seed):
    g = np.random.default_rng(seed)
    x, y = (g.normal(size=shape).astype(np.float32) for _ in "12")
    x = stored(x, DTYPES[precision])
    expected = torch.from_numpy(restored(x) + y)
    if precision == "bfloat16":
        expected = expected.bfloat16().float()
    np.testing.assert_array_equal(restored(layers.added(x, y)), expected)


@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 20), st.integers(0, 1000))
def test_the_gradient_at_the_top_of_a_reward_network_equals_torch(pairs, steps, columns, seed):
    """From return differences back to the last activation's argument, with dropout."""
    g, keep = np.random.default_rng(seed), 0.7
    x = g.normal(size=(2 * pairs * steps, columns)).astype(np.float32)
    weight, slopes = (g.normal(size=n).astype(np.float32) for n in (columns, pairs))
    bias = np.zeros(columns, np.float32)
    out, gradient = np.empty_like(x), np.empty_like(x)
    layers.activate_and_drop(x, bias, keep, np.uint32(seed), out)
    differences = np.empty((pairs, columns), np.float32)
    kernels.segment_differences(out, steps, differences)
    kernels.through_segment_differences(slopes, weight, steps, out, keep, gradient, bias)

    argument = torch.from_numpy(x).requires_grad_()
    mask = torch.from_numpy((out != 0).astype(np.float32) / np.float32(keep))
    hidden = functional.leaky_relu(argument, 0.01) * mask
    by_segment = hidden.reshape(pairs, 2, steps, columns).sum(2)
    expected = by_segment[:, 0] - by_segment[:, 1]
    ((expected @ torch.from_numpy(weight)) @ torch.from_numpy(slopes)).backward()
    np.testing.assert_allclose(differences, expected.detach(), atol=1e-5)
    np.testing.assert_allclose(gradient, argument.grad, rtol=1e-5)
    np.testing.assert_allclose(bias, argument.grad.sum(0), atol=1e-4)


def test_dropout_keeps_the_declared_share_independently_and_its_mean():
    x = np.ones((2000, 64), np.float32)
    layers.activate_and_drop(x, np.zeros(64, np.float32), 0.8, np.uint32(12345), x)
    kept = x > 0
    np.testing.assert_allclose(x[kept], 1.25)
    assert kept.mean() == pytest.approx(0.8, abs=0.005)
    assert np.abs(np.corrcoef(kept[:, :8].T) - np.eye(8)).max() < 0.1
    lag = np.corrcoef(kept.ravel()[:-1], kept.ravel()[1:])[0, 1]
    assert abs(lag) < 0.01
    y = np.ones((2000, 64), np.float32)
    layers.activate_and_drop(y, np.zeros(64, np.float32), 0.8, np.uint32(12346), y)
    assert abs(np.corrcoef(kept.ravel(), (y > 0).ravel())[0, 1]) < 0.01
