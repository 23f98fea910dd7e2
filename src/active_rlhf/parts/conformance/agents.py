"""Agents: how they act and learn, tried on a pendulum."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from active_rlhf.parts.conformance.runs import ROLLOUT, SMALL_AGENT
from active_rlhf.parts.conformance.subject import Check, Subject, expect
from active_rlhf.run.checkpoint import pack, unpack
from active_rlhf.tasks.gym import GymTask
from active_rlhf.tasks.rollout import Rollout


def _task(seed: int = 3) -> Any:
    return GymTask("Pendulum-v1", seed)


def _agent(subject: Subject, settings: Mapping[str, Any], turns: int = 0) -> tuple[Any, Any]:
    """An agent in its task, after learning from a few rollouts."""
    assert subject.part is not None
    small = {k: v for k, v in SMALL_AGENT.items() if k in subject.part.settings.model_fields}
    task = _task()
    agent = subject.part.build({**small, **settings}, task, np.random.default_rng(1))
    for turn in range(turns):
        _turn(agent, task, turn)
    return agent, task


def _turn(agent: Any, task: Any, turn: int) -> Rollout:
    generator = np.random.default_rng(turn)
    rollout: Rollout = agent.act(task, ROLLOUT, generator)
    learned = agent.learn(rollout, rollout.rewards, turn / 10, generator)
    for name, value in {**learned.losses, **learned.arrays}.items():
        expect(np.isfinite(value).all(), f"{name} is not finite after learning")
    return rollout


def _acts(subject: Subject, settings: Mapping[str, Any]) -> None:
    agent, task = _agent(subject, settings)
    steps = ROLLOUT
    for turn in range(3):
        rollout = _turn(agent, task, turn)
        for name, shape in (("observations", (steps, 3)), ("actions", (steps, 1))):
            found = getattr(rollout, name)
            expect(found.shape == shape, f"a rollout has {name} {found.shape}, not {shape}")
            expect(np.isfinite(found).all(), f"{name} are not all finite")
    now = agent.log_probabilities(rollout.observations, rollout.actions)
    expect(now.shape == (steps,) and np.isfinite(now).all(), "log_probabilities: not finite [n]")
    greedy = agent.greedy(rollout.observations)
    expect(greedy.shape == (steps, 1), f"greedy gave {greedy.shape}, not {(steps, 1)}")
    expect(0 <= agent.discount <= 1, f"discount is {agent.discount}, not from 0 to 1")
    expect(isinstance(agent.path, str), "path is not text")


def _evaluates(subject: Subject, settings: Mapping[str, Any]) -> None:
    explored = []
    for between in (0, 10):
        agent, task = _agent(subject, settings, 2)
        if between:
            agent.act(_task(), between, None)
        explored.append(_turn(agent, task, 2).actions)
    same = np.array_equal(explored[0], explored[1])
    expect(same, "it explores differently after an evaluation, which means acting without a stream")


def _agent_repeats(subject: Subject, settings: Mapping[str, Any]) -> None:
    one, other = (_turn(*_agent(subject, settings, 2), 2) for _ in range(2))
    same = np.array_equal(one.actions, other.actions)
    expect(same, "the same streams gave different actions the second time")


def _agent_resumes(subject: Subject, settings: Mapping[str, Any]) -> None:
    one, task = _agent(subject, settings, 3)
    other, _ = _agent(subject, settings)
    other.load_state_dict(unpack(pack(one.state_dict())))
    _, shadow = _agent(subject, settings, 3)
    for turn in (3, 4):
        first, second = _turn(one, task, turn), _turn(other, shadow, turn)
        same = np.array_equal(first.actions, second.actions)
        expect(same, "its saved state does not restore another one to the same point")


def _is_taken_over(subject: Subject, settings: Mapping[str, Any]) -> None:
    one, _ = _agent(subject, settings, 3)
    other, _ = _agent(subject, settings)
    saved = {name: array.copy() for name, array in one.arrays().items()}
    for name, array in other.arrays().items():
        array[...] = saved[name]
    for name, array in other.arrays().items():
        same = np.array_equal(array, saved[name])
        expect(same, f"arrays() gives a copy of {name}: no run can start from another's policy")


CHECKS: tuple[Check, ...] = (
    ("acts and learns with finite numbers of the right shapes", _acts),
    ("is not changed by an evaluation", _evaluates),
    ("is deterministic", _agent_repeats),
    ("resumes from its saved state", _agent_resumes),
    ("takes over the policy of another run", _is_taken_over),
)
