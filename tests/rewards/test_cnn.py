"""The convolutional reward model: it learns from frames, lazily read ones too, and is resumed."""

from typing import Any

import numpy as np
import pytest
import torch

from active_rlhf.behaviour.stacks import Stacks
from active_rlhf.errors import InputError
from active_rlhf.rewards import build
from active_rlhf.rewards.cnn import CNN, least_side
from active_rlhf.rewards.measures import accuracy
from active_rlhf.run.checkpoint import pack, unpack

SHAPE, ACTIONS = (2, 44, 44), 3


def cnn(seed: int = 1, shape=SHAPE, **change: Any) -> Any:
    given = {"members": 2, "units": 16, "epochs": 1} | change
    return build("cnn", given, shape, ACTIONS, np.random.default_rng(seed))


def labelled(n: int, seed: int = 0, length: int = 3):
    """What is right of the middle is good, and so is the last action."""
    g = np.random.default_rng(seed)
    frames = np.zeros((n, 2, length, *SHAPE), np.uint8)
    places = g.integers(0, 40, (n, 2, length))
    for at in np.ndindex(places.shape):
        frames[at][:, 10:30, places[at] : places[at] + 4] = 255
    actions = g.integers(ACTIONS, size=places.shape)
    returns = (places / 20 + (actions == 2)).sum(-1)
    return frames, actions, (returns[:, 0] > returns[:, 1]).astype(float)


def test_it_learns_a_reward_of_what_is_seen_and_done():
    ensemble = cnn(members=1, epochs=8, learning_rate=3e-3, dropout=0.1)
    ensemble.fit(*labelled(150))
    frames, actions, answers = labelled(100, seed=9)
    assert accuracy(ensemble.preferences(frames, actions).mean(0), answers) > 0.85
    blind = np.zeros_like(frames)
    rewards = ensemble.rewards(blind, np.broadcast_to(np.arange(3), actions.shape))
    assert rewards[0, 0, 2] > rewards[0, 0, :2].max()


def test_pictures_are_read_as_they_are_needed():
    frames, actions, answers = labelled(10)
    table = Stacks(60, SHAPE)
    table[0:60] = frames.reshape(-1, *SHAPE)
    kept = table[np.arange(60).reshape(10, 2, 3)]
    one, other = cnn(), cnn()
    assert one.fit(frames, actions, answers) == other.fit(kept, actions, answers)
    a, b = (model.member_rewards(seen, actions) for model, seen in ((one, frames), (other, kept)))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        one.features(frames[:, 0], actions[:, 0]), other.features(kept[:, 0], actions[:, 0])
    )
    last = one.networks[0].reward
    returns = one.features(frames[:, 0], actions[:, 0])[0] @ last.weight[0].detach().numpy()
    np.testing.assert_allclose(returns + 3 * last.bias.item(), a[0, :, 0].sum(-1), rtol=1e-4)


def test_training_goes_on_from_a_saved_state_as_if_never_stopped():
    one, other = cnn(), cnn(seed=7)
    one.fit(*labelled(20))
    other.load_state_dict(unpack(pack(one.state_dict())))
    other.generator.bit_generator.state = one.generator.bit_generator.state
    torch.rand(3)
    for model in (one, other):
        model.fit(*labelled(30, seed=4))
    np.testing.assert_array_equal(one.parameters, other.parameters)
    frames, actions, _ = labelled(5)
    assert one.rewards(frames, actions).tobytes() == other.rewards(frames, actions).tobytes()


def test_saved_arrays_say_what_they_are_of_and_small_pictures_are_refused():
    saved = cnn()
    assert CNN.sizes(saved.arrays(), saved.settings) == (SHAPE, ACTIONS)
    with pytest.raises(ValueError, match="not of networks with these settings"):
        CNN.sizes(saved.arrays(), saved.settings.model_copy(update={"units": 17}))
    assert least_side() == 43
    with pytest.raises(InputError, match="needs pictures of 43 x 43 pixels or more, not 84 x 42"):
        cnn(shape=(4, 84, 42))
