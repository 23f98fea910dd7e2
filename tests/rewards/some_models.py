"""Reward models of five observations and two actions, and labels to train them on."""

from typing import Any

import numpy as np

from active_rlhf.rewards import build
from active_rlhf.rewards.ensemble import Ensemble

SETTINGS = {
    "members": 3,
    "hidden": [32, 16],
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "dropout": 0.0,
    "epochs": 1,
    "batch_size": 32,
    "max_grad_norm": 1.0,
}


def labelled(n: int, seed: int = 0, length: int = 10):
    g = np.random.default_rng(seed)
    observations = g.normal(2.0, 3.0, (n, 2, length, 5)).astype(np.float32)
    actions = g.uniform(-1, 1, (n, 2, length, 2)).astype(np.float32)
    returns = (observations[..., 0] - 2 * actions[..., 1]).sum(-1)
    return observations, actions, (returns[:, 0] > returns[:, 1]).astype(float)


def model(name: str = "mlp", seed: int = 1, **change) -> Any:
    precision = {"precision": "float32"} if name == "mlp" else {}
    given = SETTINGS | precision | change
    made = build(name, given, 5, 2, np.random.default_rng(seed))
    assert isinstance(made, Ensemble)
    return made
