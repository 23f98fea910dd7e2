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
    names = [name for name, values in arrays.items() if not _all_finite(values)]
    if names:
        raise NotFinite(step, stage, names, arrays)


def check_behaviour(step: int, rollout: Rollout, then: np.ndarray) -> None:
    """Raise NotFinite at the first bad step of a rollout that began after `step`.

    then: the raw observation [...] after the last step, or at the start of a new episode; with
    environments in step, that of each [n, ...].
    """
    seen, lanes = rollout.observations, rollout.lanes
    each = len(seen) // lanes
    check(step, "environment", observations=seen[::each])
    finite = np.isfinite(rollout.rewards)
    if _may_not_be(seen):
        after = np.concatenate([seen[1:], seen[:1]])
        after[each - 1 :: each] = then
        finite &= _finite(after)
        finite[rollout.ended] &= _finite(rollout.finals)
    if finite.all():
        return
    lane, t = np.divmod(np.arange(len(finite)), each)
    when = t * lanes + lane  # the order of steps
    first = int(when[~finite].min())
    until = when <= first
    ended = until[rollout.ended]
    after = after[until] if _may_not_be(seen) else seen[until]
    check(
        step + first + 1,
        "environment",
        observations=np.concatenate([after, rollout.finals[ended]]),
        rewards=rollout.rewards[until],
        actions=rollout.actions[until],
    )


def _may_not_be(values: Any) -> bool:
    """Whether numbers of this type can be nan or infinite: those of pictures cannot."""
    return values.dtype.kind in "fc"


def _all_finite(values: Any) -> bool:
    if hasattr(values, "dtype") and not _may_not_be(values):
        return True
    return bool(np.isfinite(np.asarray(values)).all())


def _finite(rows: np.ndarray) -> np.ndarray:
    """Which of the rows [n, ...] are finite, bool [n]."""
    return np.asarray(np.isfinite(rows).all(axis=tuple(range(1, rows.ndim))))
