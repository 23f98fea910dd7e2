"""Runs so small that they can be killed dozens of times."""

from typing import Any

from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.settings import Spec

ROLLOUT = 64
# Rollouts are shorter than episodes, so nearly every checkpoint is in the middle of one.
SMALL: dict[str, Any] = {
    "study": "kills",
    "agent": {"rollout_steps": ROLLOUT, "epochs": 2, "minibatches": 4},
    "labels": {
        **{"total": 24, "initial": 4, "sessions": 8},
        **{"segment_length": 20, "oversampling": 4, "probe_pairs": 10},
    },
    "reward_model": {"hidden": [16, 16], "epochs": 1, "precision": "float32"},
    "vae": {
        **{"latent": 4, "channels": [8], "segments": 64, "batch_size": 32, "epochs": 1},
        "precision": "float32",
    },
    "evaluation": {"every": 1500, "episodes": 1},
}


def spec(environment: str, selector: str, seed: int = 1, rollouts: int = 60) -> Spec:
    runs = {"seeds": [seed], "environments": [environment], "selectors": [selector]}
    data = SMALL | runs | {"total_steps": rollouts * ROLLOUT}
    return resolve_run(load_study("small.yaml", data=data), environment, selector, seed)
