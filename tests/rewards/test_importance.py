"""Labels that count by the teacher's confidence."""

import numpy as np
import pytest

from active_rlhf.rewards import build
from active_rlhf.rewards.ensemble import bootstrap

SETTINGS = {"hidden": [8], "epochs": 40, "learning_rate": 1e-2, "bootstrap": "none", "dropout": 0}


def test_weights_are_the_shares_of_importance():
    [[*parts]] = bootstrap(10, 4, 1, np.random.default_rng(0), "none", np.arange(1.0, 11.0))
    positions, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    np.testing.assert_allclose(weights / weights.sum(), (positions + 1) / 55)
    assert weights.sum() == pytest.approx(len(parts))  # a minibatch's sum to 1 on average


@pytest.mark.parametrize("name", ["mlp", "torch_mlp"])
def test_a_label_is_believed_by_its_importance(name):
    """Every pair has two answers: one right and one wrong, of which the important one counts."""
    rng = np.random.default_rng(1)
    observations = np.repeat(rng.normal(size=(40, 2, 5, 3)).astype(np.float32), 2, axis=0)
    actions = np.zeros((80, 2, 5, 1), np.float32)
    right = (observations[:, 0, :, 0].sum(1) > observations[:, 1, :, 0].sum(1)).astype(float)
    answers = np.where(np.arange(80) % 2, right, 1 - right)
    for believed in (0, 1):
        model = build(name, SETTINGS, 3, 1, np.random.default_rng(2))
        importance = np.where(np.arange(80) % 2, believed, 1 - believed) + 0.01
        model.fit(observations, actions, answers, importance)
        found = model.preferences(observations, actions).mean(0) > 0.5
        assert ((found == right).mean() > 0.8) == bool(believed)
