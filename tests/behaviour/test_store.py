"""The store of behaviour: no segment crosses an episode, every window is reachable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from active_rlhf.behaviour.store import Segments, SegmentStore
from active_rlhf.tasks.rollout import Rollout

SCHEMA = {"observation": ((3,), np.float32), "action": ((2,), np.float32)}


def rollout(ended: list[bool], begin: int = 0) -> Rollout:
    n = len(ended)
    steps = np.arange(begin, begin + n)
    observations = np.repeat(steps[:, None], 3, 1).astype(np.float32)
    actions = np.repeat(steps[:, None] / 10, 2, 1).astype(np.float32)
    flags = np.array(ended, bool)
    finals = observations[flags]
    origins = [{"episode": int(step)} for step in steps[flags]]
    return Rollout(observations, actions, steps.astype(float), flags, flags, finals, origins)


def store(*parts: list[bool]) -> SegmentStore:
    result = SegmentStore(sum(map(len, parts)), SCHEMA)
    for part in parts:
        result.append(rollout(part, result.steps))
    return result


ends = st.lists(st.sampled_from([False] * 6 + [True]), min_size=1, max_size=60)


@given(st.lists(ends, min_size=1, max_size=4), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_no_segment_crosses_an_episode(parts, length, seed):
    kept = store(*parts)
    episode = np.concatenate([[0], np.cumsum(np.concatenate(parts))[:-1]])
    try:
        ids = kept.draw(np.random.default_rng(seed), 50, length)
    except ValueError:
        assert np.bincount(episode).max() < length
        return
    rows = ids[:, None] + np.arange(length)
    assert rows.max() < kept.steps
    assert (episode[rows] == episode[rows[:, :1]]).all()


@given(st.lists(ends, min_size=1, max_size=4))
def test_episodes_partition_the_steps(parts):
    kept = store(*parts)
    starts, lengths, finished = kept.episodes()
    assert lengths.sum() == kept.steps and (lengths > 0).all()
    np.testing.assert_array_equal(starts, np.concatenate([[0], np.cumsum(lengths)[:-1]]))
    flat = np.concatenate(parts)
    np.testing.assert_array_equal(flat[starts + lengths - 1], finished)
    assert finished[:-1].all()


def test_drawing_is_uniform_over_all_windows_including_the_open_episode():
    kept = store([False] * 9 + [True] + [False] * 3, [False] * 2 + [True] + [False] * 4)
    ids = kept.draw(np.random.default_rng(0), 24_000, 4)
    windows = [*range(7), 10, 11, 12, 16]
    counts = np.bincount(ids, minlength=20)
    assert set(np.flatnonzero(counts)) == set(windows)
    assert stats.chisquare(counts[windows]).pvalue > 0.001


def test_weights_choose_the_episode_and_short_episodes_are_never_drawn():
    kept = store([False] * 9 + [True] + [False] * 1 + [True] + [False] * 9)
    ids = kept.draw(np.random.default_rng(0), 9_000, 5, np.array([1.0, 5.0, 2.0]))
    assert (ids < 6).mean() == pytest.approx(1 / 3, abs=0.02)
    assert ((ids < 6) | (ids >= 12)).all()
    with pytest.raises(ValueError, match="11 steps"):
        kept.draw(np.random.default_rng(0), 1, 11)


def test_gather_and_sums_of_rewards():
    kept = store([False] * 30)
    observations, actions = kept.gather(np.array([[3, 8]]), 5)
    np.testing.assert_array_equal(observations[0, 1, :, 0], np.arange(8, 13))
    np.testing.assert_allclose(actions[0, 1, :, 0], [0.8, 0.9, 1, 1.1, 1.2])
    np.testing.assert_array_equal(kept.returns(np.array([3, 8]), 5), [25, 50])
    with pytest.raises(ValueError, match="30 steps"):
        kept.append(rollout([False]))


def test_segments_are_gathered_as_they_are_sliced():
    kept = store([False] * 30)
    ids = np.array([3, 8, 0, 20])
    segments = Segments(kept, ids, 5)
    assert len(segments) == 4
    for part in (slice(0, 3), slice(2, 10)):
        np.testing.assert_array_equal(segments[part], kept.gather(ids, 5)[0][part])


def test_finished_episodes_with_what_they_ended_in_and_came_from():
    kept = store([False] * 9 + [True] + [False] * 3, [False] * 2 + [True] + [False] * 4)
    assert kept.finished_episodes() == [(0, 10), (10, 6)]
    assert kept.finished_episodes(since=1) == [(10, 6)] and kept.finished_episodes(since=2) == []
    np.testing.assert_array_equal(np.array(kept.finals)[:, 0], [9, 15])
    assert kept.origins == [None, {"episode": 9}, {"episode": 15}]


def test_frames_and_discrete_actions_are_kept_as_they_are():
    """Rows of another schema: nothing is turned into floating point, at an eighth of the memory."""
    schema = {"observation": ((4, 3), np.uint8), "action": ((), np.int64)}
    rng = np.random.default_rng(0)
    frames, actions = rng.integers(256, size=(40, 4, 3), dtype=np.uint8), rng.integers(5, size=40)
    ended = np.arange(40) % 10 == 9
    kept, other = SegmentStore(40, schema), SegmentStore(40, schema)
    kept.append(
        Rollout(frames, actions, np.ones(40), ended, ended, frames[ended], [None] * ended.sum())
    )
    for rows in kept.rows(0):
        other.extend(rows)
    for one in (kept, other):
        shown, done = one.gather(np.array([[3, 20]]), 5)
        assert shown.dtype == np.uint8 and shown.shape == (1, 2, 5, 4, 3)
        np.testing.assert_array_equal(shown[0, 1], frames[20:25])
        np.testing.assert_array_equal(done[0], [actions[3:8], actions[20:25]])
