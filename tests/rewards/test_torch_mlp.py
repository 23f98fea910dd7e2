"""The ensemble in plain torch, compared with the compiled one and over a resume."""

import numpy as np
import pytest
import torch
from some_models import labelled, model
from tiny_study import small

from active_rlhf.rewards.mlp import Minibatch
from active_rlhf.rewards.torch_mlp import TorchMLP, bradley_terry
from active_rlhf.run.saved import load_reward_model
from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_study, resolve_run


def alike(**change):
    """The compiled ensemble and the one in torch, with the same parameters."""
    compiled, plain = model("mlp", **change), model("torch_mlp", **change)
    copied = plain.arrays()
    for e, member in enumerate(compiled.members):
        for i, (weight, bias) in enumerate(zip(member.weights, member.biases, strict=True)):
            copied[f"members.{e}.{3 * i}.weight"][...] = weight.T
            copied[f"members.{e}.{3 * i}.bias"][...] = bias
    return compiled, plain


def test_predictions_and_features_are_those_of_the_compiled_one():
    compiled, plain = alike()
    observations, actions, _ = labelled(150)
    np.testing.assert_allclose(
        plain.member_rewards(observations, actions),
        compiled.member_rewards(observations, actions),
        atol=1e-5,
    )
    segments = observations[:, 0], actions[:, 0]
    np.testing.assert_allclose(
        plain.features(*segments), compiled.features(*segments), rtol=1e-4, atol=1e-4
    )


def test_loss_and_gradient_are_those_of_the_compiled_one():
    compiled, plain = alike()
    observations, actions, answers = labelled(20)
    answers[:3] = 0.5
    weights = np.random.default_rng(0).uniform(0, 2, 20) / 20
    inputs = compiled.inputs(observations, actions)
    for e, member in enumerate(plain.networks):
        loss = (
            bradley_terry(
                member(torch.from_numpy(inputs))[..., 0], torch.from_numpy(answers).float()
            )
            @ torch.from_numpy(weights).float()
        )
        loss.backward()
        keys = np.zeros(2, np.uint32)
        minibatch = Minibatch(inputs.reshape(20, 20, 7), answers, weights, keys)
        got = compiled._loss(compiled.members[e], minibatch, compiled._work(20, 20))
        assert got == pytest.approx(loss.item(), rel=1e-5)
        gradient = compiled._gradient
        linear = [layer for layer in member if isinstance(layer, torch.nn.Linear)]
        for layer, weight, bias in zip(linear, gradient.weights, gradient.biases, strict=True):
            np.testing.assert_allclose(weight.T, layer.weight.grad, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(bias, layer.bias.grad, rtol=1e-4, atol=1e-5)


def test_training_from_the_same_draws_ends_at_the_same_parameters():
    """Several minibatches; of one member and epoch, as torch and the compiled one draw dropout
    in their own ways."""
    compiled, plain = alike(members=1, weight_decay=0.01, max_grad_norm=0.1)
    plain.generator.bit_generator.state = compiled.generator.bit_generator.state
    data = labelled(90)
    losses = compiled.fit(*data), plain.fit(*data)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    last = compiled.members[0].weights[-1].T
    np.testing.assert_allclose(plain.arrays()["members.0.6.weight"], last, atol=2e-6)
    first = compiled.members[0].weights[0].T
    np.testing.assert_allclose(plain.arrays()["members.0.0.weight"], first, atol=2e-6)


@pytest.mark.parametrize("name", ["mlp", "torch_mlp"])
def test_saved_arrays_say_what_they_are_of(name):
    saved = model(name)
    arrays, settings = saved.arrays(), saved.settings
    assert type(saved).sizes(arrays, settings) == (5, 2)
    for change in ({"hidden": (32, 17)}, {"members": 4}):
        with pytest.raises(ValueError, match="not of networks with these settings"):
            type(saved).sizes(arrays, settings.model_copy(update=change))
    with pytest.raises(ValueError, match=r"holds no|not of networks"):
        type(saved).sizes({"mean": np.zeros(5)}, settings)


def test_a_whole_run_learns_by_it_also_killed_and_resumed(tmp_path):
    data = small(environments=["Hopper-v5"], selectors=["duo"], total_steps=1280)
    data["reward_model"] = {"name": "torch_mlp", "hidden": [16, 16], "epochs": 2}
    spec = resolve_run(load_study("small.yaml", data=data), "Hopper-v5", "duo", 1)
    train(spec, tmp_path / "whole")
    asked = iter(range(100))
    with pytest.raises(Stopped):
        train(spec, tmp_path / "resumed", stopping=lambda: next(asked) == 12)
    train(spec, tmp_path / "resumed")
    for name in ("sessions.csv", "reward_model.safetensors", "policy.safetensors"):
        whole, resumed = ((tmp_path / run / name).read_bytes() for run in ("whole", "resumed"))
        assert whole == resumed, name
    saved = load_reward_model(tmp_path / "whole")
    assert isinstance(saved, TorchMLP)
    assert np.isfinite(
        saved.rewards(np.zeros((5, 11), np.float32), np.zeros((5, 3), np.float32))
    ).all()
