"""Runs so small that they can be killed dozens of times."""

from typing import Any

from tiny_study import small

from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.settings import Spec

ROLLOUT = 64
SMALL: dict[str, Any] = small(study="kills")


IN_STEP: dict[str, Any] = {
    "agent": {"name": "a2c", "environments": 4, "rollout_steps": ROLLOUT},
    "labels": SMALL["labels"] | {"first_after": 0.1},
}


def spec(
    environment: str, selector: str, seed: int = 1, rollouts: int = 60, **changes: Any
) -> Spec:
    runs = {"seeds": [seed], "environments": [environment], "selectors": [selector]}
    data = SMALL | runs | {"total_steps": rollouts * ROLLOUT} | changes
    return resolve_run(load_study("small.yaml", data=data), environment, selector, seed)
