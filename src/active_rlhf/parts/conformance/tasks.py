"""Tasks: how they step, end and resume."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from active_rlhf.parts.conformance.subject import Check, Subject, expect
from active_rlhf.run.checkpoint import pack, unpack
from active_rlhf.tasks.gym import GymTask


def _made(subject: Subject, settings: Mapping[str, Any], seed: int = 3) -> Any:
    if subject.part is not None:
        return subject.part.build(settings, seed)
    return GymTask(subject.name, seed, dict(settings))


def _sampled(task: Any, generator: np.random.Generator) -> np.ndarray:
    if hasattr(task.action_space, "n"):
        return np.array(generator.integers(task.action_space.n))
    action: np.ndarray = generator.normal(size=task.action_space.shape).astype(np.float32)
    return action


def _lived(task: Any, steps: int) -> tuple[list[np.ndarray], list[float]]:
    """Actions and rewards of the current episode after `steps` steps."""
    generator = np.random.default_rng(0)
    actions: list[np.ndarray] = []
    rewards: list[float] = []
    for _ in range(steps):
        actions.append(_sampled(task, generator))
        reward, terminated, truncated = task.step(actions[-1])
        rewards.append(reward)
        if terminated or truncated:
            task.reset()
            actions, rewards = [], []
    return actions, rewards


def _steps(subject: Subject, settings: Mapping[str, Any]) -> None:
    task, generator = _made(subject, settings), np.random.default_rng(0)
    expect(task.horizon > 1, f"horizon is {task.horizon}")
    for step in range(2 * task.horizon):
        shape = task.observation_space.shape
        found = np.asarray(task.observation)
        expect(found.shape == shape, f"step {step}: observation {found.shape}, not {shape}")
        expect(np.isfinite(found).all(), f"step {step}: observation {found} is not finite")
        reward, terminated, truncated = task.step(_sampled(task, generator))
        expect(np.isfinite(reward), f"step {step}: reward {reward} is not finite")
        expect(task.elapsed <= task.horizon, f"an episode outlived its {task.horizon} steps")
        if terminated or truncated:
            task.reset()
            expect(task.elapsed == 0, "reset does not begin an episode")


def _same_again(subject: Subject, settings: Mapping[str, Any]) -> None:
    horizon = _made(subject, settings).horizon
    steps = horizon + horizon // 2  # into an episode that `reset` began
    one, other = (_lived(_made(subject, settings), steps) for _ in range(2))
    expect(one[1] == other[1], "the same seed and actions gave different rewards the second time")


def _lives_through(subject: Subject, settings: Mapping[str, Any]) -> None:
    one, other = (_made(subject, settings) for _ in range(2))
    actions, rewards = _lived(one, one.horizon + one.horizon // 2)
    shape = (len(actions), *one.action_space.shape)
    other.load_state_dict(
        unpack(pack(one.state_dict())), np.array(actions).reshape(shape), np.array(rewards)
    )
    other.stream.bit_generator.state = one.stream.bit_generator.state
    first, second = _lived(one, one.horizon), _lived(other, one.horizon)
    expect(first[1] == second[1], "a replayed episode continues differently")


CHECKS: tuple[Check, ...] = (
    ("steps, ends and restarts with finite numbers", _steps),
    ("is deterministic", _same_again),
    ("resumes by replaying an episode", _lives_through),
)
