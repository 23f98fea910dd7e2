"""Clipped actions are the same to every model as actions that were within the bounds."""

import numpy as np
import pytest

from active_rlhf import rewards

BOUNDS = {"actions.low": np.float32([-1, -0.5]), "actions.high": np.float32([1, 2])}


@pytest.mark.parametrize("name", ["mlp", "torch_mlp"])
def test_a_model_sees_actions_within_the_bounds_in_all_it_does(name):
    rng = np.random.default_rng(1)
    observations = rng.normal(size=(40, 2, 5, 3)).astype(np.float32)
    actions = (2 * rng.normal(size=(40, 2, 5, 2))).astype(np.float32)
    answers = rng.integers(2, size=40).astype(float)
    given = {"hidden": [8, 8], "epochs": 2}
    clipped, plain = (
        rewards.build(name, given, 3, 2, np.random.default_rng(2), bounds)
        for bounds in (BOUNDS, None)
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
