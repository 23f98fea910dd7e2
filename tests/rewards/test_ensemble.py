"""What every ensemble does, and making one by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_models import labelled, model

from active_rlhf.agents.normalise import Moments
from active_rlhf.errors import InputError
from active_rlhf.rewards import build
from active_rlhf.rewards.ensemble import batches, bootstrap

NAMES = ("mlp", "torch_mlp")


@pytest.mark.parametrize("name", NAMES)
def test_calibrated_members_have_mean_zero_and_unit_sd(name):
    ensemble = model(name)
    observations, actions, _ = labelled(50)
    for array_name, array in ensemble.arrays().items():
        if array_name.startswith("members.1."):
            array *= 3  # one member shouts
    ensemble.calibrate(ensemble.member_rewards(observations, actions))
    rewards = ensemble.member_rewards(observations, actions).reshape(3, -1)
    z = (rewards - ensemble.output_mean[:, None]) / ensemble.output_sd[:, None]
    np.testing.assert_allclose(z.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(1), 1, atol=1e-5)
    flat = ensemble.rewards(observations.reshape(-1, 5), actions.reshape(-1, 2))
    np.testing.assert_allclose(flat, z.mean(0), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_observations_are_seen_through_todays_statistics(name):
    """The same observations in other units give the same rewards once the moments are theirs."""
    one, other = model(name), model(name)
    observations, actions, _ = labelled(20)
    one.observe(Moments(np.full(5, 2.0), np.full(5, 9.0), np.ones(1)))
    other.observe(Moments(np.full(5, 23.0), np.full(5, 900.0), np.ones(1)))
    expected = one.member_rewards(observations, actions)
    np.testing.assert_allclose(
        other.member_rewards(10 * observations + 3, actions), expected, atol=1e-4
    )
    far = model(name)
    far.observe(Moments(np.full(5, 2.0), np.full(5, 1e-6), np.ones(1)))
    apart = np.floor(observations) + np.float32(0.5)  # all beyond the limits, one side or other
    clipped = np.where(apart > 2, 1e4, -1e4).astype(np.float32)
    np.testing.assert_array_equal(
        far.member_rewards(apart, actions), far.member_rewards(clipped, actions)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_choice_is_seen_as_one_hot(name):
    ensemble = model(name)
    g = np.random.default_rng(0)
    observations, choices = g.normal(size=(6, 4, 5)).astype(np.float32), g.integers(2, size=(6, 4))
    one_hot = np.stack([1 - choices, choices], axis=-1).astype(np.float32)
    np.testing.assert_array_equal(
        ensemble.member_rewards(observations, choices),
        ensemble.member_rewards(observations, one_hot),
    )


@pytest.mark.parametrize("sample", ["session", "epoch", "none"])
@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 3), st.integers(0, 99))
def test_a_sample_is_visited_as_often_as_it_was_drawn(sample, pairs, batch_size, epochs, seed):
    generator, twin = np.random.default_rng(seed), np.random.default_rng(seed)
    drawn = np.arange(pairs)
    seen = list(bootstrap(pairs, batch_size, epochs, generator, sample))
    assert len(seen) == epochs
    for number, epoch in enumerate(seen):
        if sample == "epoch" or (sample == "session" and number == 0):
            drawn = np.sort(twin.integers(pairs, size=pairs))
        twin.permutation(np.unique(drawn))
        assert len(epoch) == batches(pairs, batch_size)
        assert max(len(part) for part, _ in epoch) <= batch_size
        times = [np.round(weights * pairs / len(epoch)).astype(int) for _, weights in epoch]
        visited = np.concatenate(
            [part.repeat(k) for (part, _), k in zip(epoch, times, strict=True)]
        )
        np.testing.assert_array_equal(np.sort(visited), drawn)
        assert sum(weights.sum() for _, weights in epoch) == pytest.approx(len(epoch))


def test_unknown_names_and_settings_are_named():
    generator = np.random.default_rng(0)
    with pytest.raises(InputError, match="unknown reward model 'mpl', did you mean 'mlp'"):
        build("mpl", {}, 5, 2, generator)
    with pytest.raises(InputError, match="unknown setting 'hiden', did you mean 'hidden'"):
        build("mlp", {"hiden": [4]}, 5, 2, generator)
    with pytest.raises(InputError, match="dropout"):
        build("torch_mlp", {"dropout": 1}, 5, 2, generator)
