"""Environments in step: each lives as if it were alone, and rows come back where they belong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from active_rlhf.behaviour.store import SegmentStore, schema
from active_rlhf.run.checkpoint import pack, unpack
from active_rlhf.tasks import NotReproducible
from active_rlhf.tasks.gym import GymTask
from active_rlhf.tasks.rollout import Rollout, collect, collect_in_step
from active_rlhf.tasks.vector import TasksInStep

NAMES = ("observations", "actions", "rewards", "ended", "terminated")


def in_step(lanes: int) -> TasksInStep:
    return TasksInStep([GymTask("CartPole-v1", seed) for seed in range(lanes)])


def choice(lane: int, at: int) -> int:
    return (at * 7 + lane * 3) // 5 % 2


def rollouts(lanes: int, sizes: list[int]) -> tuple[list[Rollout], TasksInStep]:
    """Of `sizes` steps for each environment, with actions that depend on environment and time."""
    task, begun, found = in_step(lanes), 0, []
    for size in sizes:

        def act(observations: np.ndarray, t: int, begun: int = begun) -> np.ndarray:
            return np.array([choice(lane, begun + t) for lane in range(lanes)])

        found.append(collect_in_step(task, size * lanes, act))
        begun += size
    return found, task


def kept(parts: list[Rollout], task: TasksInStep, lanes: int, origins: list) -> SegmentStore:
    store = SegmentStore(sum(len(p.rewards) for p in parts), schema(task), lanes, origins)
    for part in parts:
        store.append(part)
    return store


@settings(max_examples=20)
@given(st.integers(1, 4), st.lists(st.integers(1, 50), min_size=1, max_size=4))
def test_each_environment_lives_as_if_it_were_alone(lanes, sizes):
    parts, task = rollouts(lanes, sizes)
    store = kept(parts, task, lanes, in_step(lanes).origins)
    each, ends = sum(sizes), []
    for lane, region in enumerate(store.regions()):
        single = GymTask("CartPole-v1", lane)
        single.reset()
        alone = collect(single, each, lambda o, t, lane=lane: np.array(choice(lane, t)))
        own = [
            slice(lane * size, (lane + 1) * size) for size in sizes
        ]  # of this environment, in each rollout
        for name in NAMES:
            joined = [getattr(p, name)[rows] for p, rows in zip(parts, own, strict=True)]
            np.testing.assert_array_equal(np.concatenate(joined), getattr(alone, name))
        np.testing.assert_array_equal(store.observations[region], alone.observations)
        np.testing.assert_array_equal(store.rewards[region], alone.rewards)
        starts = np.flatnonzero(np.append(True, alone.ended[:-1]))
        final = iter(zip(alone.finals, alone.origins, strict=True))
        for start, end in zip(starts, np.flatnonzero(alone.ended), strict=False):
            step = end * lanes + lane
            ends.append((step, region.start + start, end - start + 1, *next(final)))
    ends.sort(key=lambda ended: ended[0])
    assert store.finished_episodes() == [(start, length) for _, start, length, *_ in ends]
    starts, lengths, finished = store.episodes()
    steps = store.step_of((starts + lengths)[finished] - 1)
    assert steps.tolist() == [step for step, *_ in ends]
    np.testing.assert_array_equal(store.row_of(steps), (starts + lengths)[finished] - 1)
    for final, (*_, expected, _) in zip(store.finals, ends, strict=True):
        np.testing.assert_array_equal(final, expected)
    assert lengths.sum() == store.steps and len(store.origins) == len(starts)
    for k, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        assert (store.episodes_of(start + np.arange(length)) == k).all()
        again = GymTask("CartPole-v1", 0)
        again.stream.bit_generator.state = store.origins[k]
        again.reset()
        np.testing.assert_array_equal(
            again.observation.astype(np.float32), store.observations[start : start + 1][0]
        )


@given(st.integers(1, 4), st.lists(st.integers(1, 20), min_size=1, max_size=3), st.data())
@settings(max_examples=20)
def test_a_store_of_several_is_restored_from_pieces_of_any_size(lanes, sizes, data):
    parts, task = rollouts(lanes, sizes)
    store = kept(parts, task, lanes, in_step(lanes).origins)
    other = SegmentStore(store.steps, schema(task), lanes)
    cut = data.draw(st.integers(0, store.steps))
    other.extend(np.concatenate(list(store.rows(0)))[:cut])
    for rows in store.rows(cut):
        other.extend(rows)
    other.load_state_dict(unpack(pack(store.state_dict())))
    for name in ("observations", "actions", "rewards", "terminated"):
        np.testing.assert_array_equal(getattr(other, name)[:], getattr(store, name)[:])
    assert other.finished_episodes() == store.finished_episodes()
    np.testing.assert_array_equal(np.array(other.finals), np.array(store.finals))
    assert other.origins == store.origins


def test_environments_in_step_are_restored_by_replaying_each_episode():
    parts, task = rollouts(3, [30, 11])
    store = kept(parts, task, 3, in_step(3).origins)
    now = [store.current(lane, elapsed) for lane, elapsed in enumerate(task.elapsed)]
    actions, rewards = ([column[rows] for rows in now] for column in (store.actions, store.rewards))
    other, state = in_step(3), unpack(pack(task.state_dict()))
    other.load_state_dict(state, actions, rewards)
    after = [collect_in_step(one, 60, lambda o, t: np.ones(3, int)) for one in (task, other)]
    for name in NAMES:
        np.testing.assert_array_equal(*(getattr(one, name) for one in after))
    actions[1] = 1 - actions[1]
    with pytest.raises(NotReproducible, match="CartPole-v1"):
        in_step(3).load_state_dict(state, actions, rewards)


def test_a_rollout_of_other_environments_is_refused():
    (part,), task = rollouts(2, [4])
    with pytest.raises(ValueError, match="a rollout of 2 environments for a store of 4"):
        SegmentStore(8, schema(task), 4).append(part)
    with pytest.raises(ValueError, match="3 environments cannot take 8 steps"):
        SegmentStore(8, schema(task), 3)
