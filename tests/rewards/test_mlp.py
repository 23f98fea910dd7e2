"""The compiled reward networks against plain torch and against what they should learn."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from some_models import labelled
from some_models import model as ensemble

from active_rlhf.agents.normalise import Moments
from active_rlhf.compute.layers import activate_and_drop
from active_rlhf.rewards.measures import accuracy


def tensors(arrays):
    return [torch.tensor(array.copy(), requires_grad=True) for array in arrays]


@pytest.mark.parametrize("hidden", [[32, 16], [24, 24, 24]])
def test_members_predict_what_torch_does(hidden):
    model = ensemble(hidden=hidden)
    model.observe(Moments(np.full(5, 2.0), np.full(5, 9.0), np.ones(1)))
    observations, actions, _ = labelled(230)  # more rows than one chunk
    got = model.member_rewards(observations, actions)
    x = torch.from_numpy(
        np.concatenate([np.clip((observations - 2) / 3, -10, 10), actions], -1).astype(np.float32)
    )
    for member, rewards in zip(model.members, got, strict=True):
        h = x
        for weight, bias in list(zip(*tensors_of(member), strict=True))[:-1]:
            h = torch.nn.functional.leaky_relu(h @ weight + bias, 0.01)
        expected = (h @ tensors_of(member)[0][-1] + tensors_of(member)[1][-1])[..., 0]
        np.testing.assert_allclose(rewards, expected.detach(), atol=1e-5)


def tensors_of(member):
    return tensors(member.weights), tensors(member.biases)


def layers_of(model):
    """The same of the first network of an ensemble in torch."""
    linear = [layer for layer in model.networks[0] if isinstance(layer, torch.nn.Linear)]
    weights, biases = ([getattr(a, n).detach().numpy() for a in linear] for n in ("weight", "bias"))
    return tensors([weight.T for weight in weights]), tensors(biases)


@pytest.mark.parametrize("bootstrap", ["session", "epoch", "none"])
@pytest.mark.parametrize("name", ["mlp", "torch_mlp"])
def test_steps_equal_torch_adam_on_the_drawn_sample(name, bootstrap):
    """Two epochs of full-batch steps on the draws, weight decay and clipping included."""
    observations, actions, preferences = labelled(60)
    preferences[:7] = 0.5
    change = {"members": 1, "batch_size": 60, "weight_decay": 0.1, "max_grad_norm": 0.05}
    model = ensemble(name, **change, epochs=2, bootstrap=bootstrap)
    weights, biases = tensors_of(model.members[0]) if name == "mlp" else layers_of(model)
    drawn = np.random.default_rng()
    drawn.bit_generator.state = model.generator.bit_generator.state
    shown = torch.from_numpy(model.inputs(observations, actions))
    adam = torch.optim.Adam([*weights, *biases], lr=1e-3, weight_decay=0.1)
    losses, rows = [], np.arange(60)
    for epoch in range(2):
        if bootstrap == "epoch" or (bootstrap == "session" and epoch == 0):
            rows = drawn.integers(60, size=60)
        drawn.permutation(np.unique(rows))  # the order of the pairs, and what dropout is drawn from
        if name == "mlp":
            drawn.integers(2**32, size=(1, 2), dtype=np.uint32)
        else:
            drawn.integers(2**63)
        inputs, target = shown[rows], torch.from_numpy(preferences[rows]).float()
        adam.zero_grad()
        h = inputs
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            h = torch.nn.functional.leaky_relu(h @ weight + bias, 0.01)
        returns = (h @ weights[-1] + biases[-1]).sum((2, 3))
        chance = torch.sigmoid(returns[:, 0] - returns[:, 1])
        loss = -(target * chance.log() + (1 - target) * (1 - chance).log()).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*weights, *biases], 0.05)
        adam.step()
        losses.append(loss.item())
    assert model.fit(observations, actions, preferences) == pytest.approx(losses[-1], rel=1e-5)
    trained = tensors_of(model.members[0])[0] if name == "mlp" else layers_of(model)[0]
    for ours, theirs in zip(trained, weights, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs.detach(), atol=5e-6)


def test_gradient_flows_only_through_kept_units():
    """With dropout, the step equals torch's on the mask read off the forward pass."""
    observations, actions, preferences = labelled(40)
    change = {"members": 1, "batch_size": 40, "max_grad_norm": 1e9, "dropout": 0.5}
    model = ensemble(**change)
    twin = np.random.default_rng()
    twin.bit_generator.state = model.generator.bit_generator.state
    counts = np.bincount(twin.integers(40, size=40), minlength=40)
    drawn = np.flatnonzero(counts)
    order = twin.permutation(drawn)
    keys = twin.integers(2**32, size=(1, 2), dtype=np.uint32)[0]
    weights, biases = tensors_of(model.members[0])
    h = torch.from_numpy(model.inputs(observations, actions)[order].reshape(-1, 7))
    for layer in range(2):
        ones = np.ones((len(h), len(biases[layer])), np.float32)
        activate_and_drop(ones, np.zeros(ones.shape[1], np.float32), 0.5, keys[layer], ones)
        h = torch.nn.functional.leaky_relu(h @ weights[layer] + biases[layer], 0.01)
        h = h * torch.from_numpy(ones)
    returns = (h @ weights[2]).reshape(len(order), 2, -1).sum(-1)
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        returns[:, 0] - returns[:, 1],
        torch.from_numpy(preferences[order]).float(),
        reduction="none",
    )
    (losses * torch.from_numpy(counts[order])).sum().div(40).backward()
    model.fit(observations, actions, preferences)
    gradient = model.first[0] / 0.1  # Adam's first moment after one step
    begin = 0
    for weight, bias in zip(weights, biases, strict=True):
        size = weight.numel()
        got = gradient[begin : begin + size].reshape(weight.shape)
        np.testing.assert_allclose(got, weight.grad, atol=2e-6)
        begin += size + bias.numel()


def test_compiled_steps_equal_the_reference_that_stands_in_for_them(monkeypatch):
    """Several minibatches and epochs, float32, on the same draws."""
    data = labelled(70)
    change = {"epochs": 3, "weight_decay": 0.01, "max_grad_norm": 0.1}
    fast, reference = ensemble(**change), ensemble(**change)
    monkeypatch.setattr(reference, "_step", reference._step_in_torch)
    losses = fast.fit(*data), reference.fit(*data)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    np.testing.assert_allclose(fast.flat, reference.flat, atol=2e-6)


def test_bfloat16_rounds_what_is_multiplied_and_nothing_else():
    exact, rough = ensemble(hidden=[64, 64]), ensemble(hidden=[64, 64], precision="bfloat16")
    np.testing.assert_array_equal(exact.flat, rough.flat)  # weights proper stay float32
    observations, actions, preferences = labelled(64)
    expected = exact.member_rewards(observations, actions)
    got = rough.member_rewards(observations, actions)
    error = np.abs(got - expected).max() / expected.std()
    assert 1e-5 < error < 0.05
    exact.fit(observations, actions, preferences)
    rough.fit(observations, actions, preferences)
    moved = exact.first.ravel() @ rough.first.ravel()  # Adam's mean gradients point the same way
    assert moved > 0.999 * np.linalg.norm(exact.first) * np.linalg.norm(rough.first)


@pytest.mark.parametrize(
    ("name", "change"), [("mlp", {}), ("mlp", {"precision": "bfloat16"}), ("torch_mlp", {})]
)
def test_the_ensemble_learns_a_reward_and_reports_it_honestly(name, change):
    model = ensemble(name, epochs=30, dropout=0.1, **change)
    observations, actions, preferences = labelled(300)
    model.fit(observations, actions, preferences)
    held_out = labelled(300, seed=9)
    probability = model.preferences(*held_out[:2]).mean(0)
    assert accuracy(probability, held_out[2]) > 0.9
    swapped = model.preferences(held_out[0][:, ::-1], held_out[1][:, ::-1])
    np.testing.assert_allclose(swapped, 1 - model.preferences(*held_out[:2]), atol=1e-6)
    members = model.preferences(*held_out[:2])
    assert members.std(0).mean() > 1e-3  # bootstrap and initialisation keep them apart


@pytest.mark.parametrize("length", [1, 7, 300])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_features_are_what_the_last_layer_makes_a_return_of(precision, length):
    """Whatever the segments' length, also where they lie across chunks."""
    model = ensemble(precision=precision)
    observations, actions, _ = labelled(12, length=length)
    segments = observations.reshape(-1, length, 5), actions.reshape(-1, length, 2)
    features = model.features(*segments)
    assert features.shape == (3, 24, 16)
    returns = model.member_rewards(*segments).sum(-1)
    for member, seen, expected in zip(model.members, features, returns, strict=True):
        got = seen @ member.weights[-1][:, 0] + length * member.biases[-1]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * length)


def test_loading_a_saved_model_imports_no_compiler_and_no_torch():
    program = """
import sys
import numpy as np
from active_rlhf.rewards import build
model = build("mlp", {"precision": "bfloat16"}, 5, 2, np.random.default_rng(0))
for array in model.arrays().values():
    array[...] = 0
print(*{"numba", "llvmlite", "torch", "mujoco", "scipy"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b""
