"""Nothing is trained on nan or infinity: a run stops at the first one."""

from typing import Any

import numpy as np

from active_rlhf.tasks.rollout import Rollout


class NotFinite(FloatingPointError):
    """Something became nan or infinite; `arrays` holds it and its inputs, by name."""

    def __init__(self, step: int, stage: str, names: list[str], arrays: dict[str, Any]):
        super().__init__(f"step {step}: {stage}: {', '.join(names)} not finite")
        self.arrays = arrays


def check(step: int, stage: str, **arrays: Any) -> None:
    """Raise NotFinite unless all of these are finite."""
    names = [name for name, values in arrays.items() if not np.isfinite(values).all()]
    if names:
        raise NotFinite(step, stage, names, arrays)


def check_behaviour(step: int, rollout: Rollout, then: np.ndarray) -> None:
    """Raise NotFinite at the first bad step of a rollout that began after `step`.

    then: the raw observation after the last step, or at the start of a new episode.
    """
    check(step, "environment", observations=rollout.observations[:1])
    after = np.concatenate(
        [rollout.observations[1:], then[None].astype(rollout.observations.dtype)]
    )
    finite = _finite(after) & np.isfinite(rollout.rewards)
    finite[rollout.ended] &= _finite(rollout.finals)
    if not finite.all():
        seen = slice(int(np.argmin(finite)) + 1)
        ended = int(rollout.ended[seen].sum())
        check(
            step + seen.stop,
            "environment",
            observations=np.concatenate([after[seen], rollout.finals[:ended]]),
            rewards=rollout.rewards[seen],
            actions=rollout.actions[seen],
        )


def _finite(rows: np.ndarray) -> np.ndarray:
    """Which of the rows [n, ...] are finite, bool [n]."""
    return np.asarray(np.isfinite(rows).all(axis=tuple(range(1, rows.ndim))))
