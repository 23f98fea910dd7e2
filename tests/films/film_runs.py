"""Small runs, finished and half-done, whose behaviour is shown."""

from pathlib import Path
from typing import Any

import pytest
from tiny_study import small

from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.settings import Spec

ROLLOUT, ROLLOUTS = 64, 20
SMALL: dict[str, Any] = small(
    selectors=["random"],
    total_steps=ROLLOUT * ROLLOUTS,
    agent={"rollout_steps": ROLLOUT, "epochs": 1},
    labels={"total": 12, "sessions": 5},
    evaluation={"every": ROLLOUT * ROLLOUTS},
)
IN_STEP = {"name": "a2c", "environments": 4, "rollout_steps": ROLLOUT}


def spec(environment: str, **changes: Any) -> Spec:
    study = load_study("small.yaml", data=SMALL | {"environments": [environment]} | changes)
    return resolve_run(study, environment, "random", 1)


def stopped(environment: str, out: Path, after: int, **changes: Any) -> None:
    """A run that is left with a checkpoint after so many rollouts."""
    asked = iter([*[False] * after, True])
    with pytest.raises(Stopped):
        train(spec(environment, **changes), out, stopping=lambda: next(asked))
