"""What every ensemble does, and making one by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_models import labelled, model

from active_rlhf.agents.normalise import Moments
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


# --- actions beyond their bounds ---

BOUNDS = {"actions.low": np.float32([-1, -0.5]), "actions.high": np.float32([1, 2])}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_sees_actions_within_the_bounds_in_all_it_does(name):
    rng = np.random.default_rng(1)
    observations = rng.normal(size=(40, 2, 5, 3)).astype(np.float32)
    actions = (2 * rng.normal(size=(40, 2, 5, 2))).astype(np.float32)
    answers = rng.integers(2, size=40).astype(float)
    given = {"hidden": [8, 8], "epochs": 2}
    clipped, plain = (
        build(name, given, 3, 2, np.random.default_rng(2), bounds) for bounds in (BOUNDS, None)
    )
    within = np.clip(actions, *BOUNDS.values())
    assert clipped.fit(observations, actions, answers) == plain.fit(observations, within, answers)
    for method, part in (
        ("member_rewards", slice(None)),
        ("rewards", slice(None)),
        ("preferences", slice(None)),
        ("features", (slice(None), 0)),
    ):
        found = getattr(clipped, method)(observations[part], actions[part])
        wanted = getattr(plain, method)(observations[part], within[part])
        np.testing.assert_array_equal(found, wanted, err_msg=method)
    saved = clipped.arrays()
    assert saved.keys() == plain.arrays().keys() | BOUNDS.keys()


# --- labels that count by the teacher's confidence ---

BELIEVING = {"hidden": [8], "epochs": 40, "learning_rate": 1e-2, "bootstrap": "none", "dropout": 0}


def test_weights_are_the_shares_of_importance():
    [[*parts]] = bootstrap(10, 4, 1, np.random.default_rng(0), "none", np.arange(1.0, 11.0))
    positions, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    np.testing.assert_allclose(weights / weights.sum(), (positions + 1) / 55)
    assert weights.sum() == pytest.approx(len(parts))  # a minibatch's sum to 1 on average


@pytest.mark.parametrize("name", NAMES)
def test_a_label_is_believed_by_its_importance(name):
    """Every pair has two answers: one right and one wrong, of which the important one counts."""
    rng = np.random.default_rng(1)
    observations = np.repeat(rng.normal(size=(40, 2, 5, 3)).astype(np.float32), 2, axis=0)
    actions = np.zeros((80, 2, 5, 1), np.float32)
    right = (observations[:, 0, :, 0].sum(1) > observations[:, 1, :, 0].sum(1)).astype(float)
    answers = np.where(np.arange(80) % 2, right, 1 - right)
    for believed in (0, 1):
        model = build(name, BELIEVING, 3, 1, np.random.default_rng(2))
        importance = np.where(np.arange(80) % 2, believed, 1 - believed) + 0.01
        model.fit(observations, actions, answers, importance)
        found = model.preferences(observations, actions).mean(0) > 0.5
        assert ((found == right).mean() > 0.8) == bool(believed)
