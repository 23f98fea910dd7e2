"""The store of behaviour: no segment crosses an episode, every window is reachable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from active_rlhf.behaviour.store import Segments, SegmentStore
from active_rlhf.tasks.rollout import Rollout

LOW, HIGH = -np.ones(2, np.float32), np.ones(2, np.float32)


def rollout(ended: list[bool], begin: int = 0) -> Rollout:
    n = len(ended)
    steps = np.arange(begin, begin + n)
    observations = np.repeat(steps[:, None], 3, 1).astype(np.float32)
    actions = np.repeat(steps[:, None] / 10, 2, 1).astype(np.float32)
    flags = np.array(ended, bool)
    return Rollout(
        observations, observations, actions, steps.astype(float), flags, flags, observations
    )


def store(*parts: list[bool]) -> SegmentStore:
    result = SegmentStore(sum(map(len, parts)), LOW, HIGH, 3)
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
    np.testing.assert_allclose(kept.executed(np.array([8]), 5)[0, :, 0], [0.8, 0.9, 1, 1, 1])
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
