"""The segment VAE: its gradient against torch, and what its latents show."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from active_rlhf.compute.precision import DTYPES, stored
from active_rlhf.selection.vae import SegmentVAE
from active_rlhf.study.settings import VAE

CONFIG: dict[str, Any] = {
    "latent": 3,
    "channels": [8, 16],
    "learning_rate": 3e-3,
    "weight_decay": 1e-5,
    "kl_weight": 1e-3,
    "noise": 0.1,
    "segments": 512,
    "batch_size": 64,
    "epochs": 5,
    "precision": "float32",
}


def vae(observations, length, seed=0, **changes):
    settings = VAE(**CONFIG | changes)
    return SegmentVAE(observations, length, np.random.default_rng(seed), settings)


def torch_loss(model, clean, noisy, sample, observations, length):
    """The loss written with torch's strided convolutions, and the parameters it depends on."""
    parameters = [
        torch.tensor(array, requires_grad=True)
        for layer in (*model.encoder, *model.decoder)
        for array in layer
    ]
    weights, biases = parameters[::2], parameters[1::2]
    channels = model.settings.channels
    levels, n = len(channels), len(clean)
    h = torch.tensor(noisy).view(n, -1, observations).transpose(1, 2)
    for weight, bias in zip(weights[:levels], biases[:levels], strict=True):
        kernel = weight.view(-1, h.shape[1], weight.shape[1]).permute(2, 1, 0)
        h = functional.conv1d(h, kernel, bias, stride=kernel.shape[2])
        h = functional.leaky_relu(h, 0.01)
    codes = h.transpose(1, 2).flatten(1) @ weights[levels] + biases[levels]
    mean, log_variance = codes.chunk(2, dim=1)
    z = mean + torch.tensor(sample) * torch.exp(log_variance / 2)
    h = (z @ weights[levels + 1] + biases[levels + 1]).view(n, -1, channels[-1]).transpose(1, 2)
    below = reversed([observations, *channels[:-1]])
    for weight, bias, width in zip(weights[levels + 2 :], biases[levels + 2 :], below, strict=True):
        kernel = weight.view(len(weight), -1, width).permute(0, 2, 1)
        h = functional.leaky_relu(h, 0.01)
        h = functional.conv_transpose1d(h, kernel, stride=kernel.shape[2])
        h = h + bias.view(-1, width).repeat(h.shape[2] // kernel.shape[2], 1).T
    rebuilt = h.transpose(1, 2)[:, :length]
    target = torch.tensor(clean).view(n, -1, observations)[:, :length]
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, torch.exp(log_variance / 2)),
        torch.distributions.Normal(0.0, 1.0),
    )
    loss = functional.mse_loss(rebuilt, target) + model.settings.kl_weight * kl.sum(1).mean()
    return loss, parameters


@given(
    st.integers(1, 5),
    st.integers(1, 23),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_loss_and_gradient_are_those_of_strided_convolutions_in_torch(
    observations, length, channels, seed
):
    model = vae(observations, length, seed, channels=channels, kl_weight=0.1)
    generator = np.random.default_rng(seed)
    clean = model._inputs(generator.normal(size=(7, length, observations)).astype(np.float32))
    noisy = clean + generator.normal(size=clean.shape).astype(np.float32)
    sample = generator.normal(size=(7, 3)).astype(np.float32)
    loss, parameters = torch_loss(model, clean, noisy, sample, observations, length)
    loss.backward()
    expected = np.concatenate([p.grad.numpy().ravel() for p in parameters])
    assert model._loss(clean, noisy, sample) == pytest.approx(loss.item(), rel=1e-5)
    np.testing.assert_allclose(model.gradient, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("length", [20, 23])
def test_in_bfloat16_loss_and_gradient_are_those_of_float32_but_for_its_rounding(length):
    generator = np.random.default_rng(0)
    segments = generator.normal(size=(32, length, 4)).astype(np.float32)
    sample = generator.normal(size=(32, 3)).astype(np.float32)
    exact = vae(4, length, channels=[32, 64])
    rounded = vae(4, length, channels=[32, 64], precision="bfloat16")
    clean = exact._inputs(segments)
    noisy = clean + np.float32(0.1) * generator.normal(size=clean.shape).astype(np.float32)
    losses = [
        model._loss(*(stored(x, model._dtype) for x in (clean, noisy)), sample)
        for model in (exact, rounded)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=2**-8)
    size = np.linalg.norm(exact.gradient)
    assert np.linalg.norm(rounded.gradient - exact.gradient) < 0.05 * size
    assert (rounded.gradient != exact.gradient).any()


def waves(count, length=23, seed=0):
    """Segments of a sine of random amplitude and phase, and the two numbers behind them."""
    generator = np.random.default_rng(seed)
    amplitude, phase = generator.uniform(1, 3, count), generator.uniform(0, np.pi, count)
    angle = np.arange(length) / 4 + phase[:, None]
    steps = amplitude[:, None, None] * np.stack([np.sin(angle), 50 * np.cos(angle)], axis=2)
    return steps.astype(np.float32), np.stack([amplitude, phase], axis=1)


@pytest.mark.parametrize("precision", DTYPES)
def test_latents_tell_what_segments_differ_in(precision):
    model = vae(2, 23, epochs=60, precision=precision)
    segments, _ = waves(1024)
    first, last = model.fit(segments[:64]), model.fit(segments)
    assert last < first / 2
    fresh, truth = waves(500, seed=1)
    z = model.encode(fresh)
    features = np.column_stack(
        [np.ones(len(z)), z, z**2, z[:, :1] * z[:, 1:], z[:, 1:2] * z[:, 2:]]
    )
    fit = np.linalg.lstsq(features[:300], truth[:300], rcond=None)[0]
    rest = truth[300:] - features[300:] @ fit
    assert (1 - rest.var(0) / truth[300:].var(0) > 0.8).all()


def test_segments_are_standardised_over_all_minibatches():
    segments, _ = waves(100)
    model = vae(2, 23)
    model.fit(segments)
    np.testing.assert_allclose(model.mean, segments.mean((0, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.scale, segments.std((0, 1)), rtol=1e-5)


def test_a_constant_observation_does_no_harm():
    segments, _ = waves(128)
    segments[:, :, 1] = 3
    model = vae(2, 23)
    assert np.isfinite(model.fit(segments))
    segments[0, 0, 1] = 3.1
    assert np.isfinite(model.encode(segments)).all()


def test_the_last_minibatch_may_be_smaller():
    model = vae(2, 23)
    model.fit(waves(100)[0])
    assert model.step == 2 * CONFIG["epochs"]


def test_a_restored_vae_continues_as_if_never_stopped():
    segments, _ = waves(200)
    one = vae(2, 23)
    one.fit(segments)
    other = vae(2, 23, seed=5)
    other.load_state_dict(one.state_dict())
    assert other.encode(segments).tobytes() == one.encode(segments).tobytes()
    one.generator, other.generator = np.random.default_rng(3), np.random.default_rng(3)
    one.fit(segments[:150])
    other.fit(segments[:150])
    assert other.encode(segments).tobytes() == one.encode(segments).tobytes()
