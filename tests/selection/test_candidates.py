"""Which pairs come into the pool, and how often."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from some_behaviour import context, log_probabilities, store, unordered

from active_rlhf.selection.candidates import independent_pairs
from active_rlhf.selection.candidates.motion import motion, overlaps, scaled
from active_rlhf.selection.candidates.on_policy import on_policy_weights
from active_rlhf.selection.candidates.pairing import pairs_across_clusters
from active_rlhf.selection.candidates.policy_rank import policy_rank
from active_rlhf.selection.candidates.recent import recent_weights

LENGTH = 5


def windows(behaviour, length, episodes=None):
    """Ids of all segments of these episodes, by enumeration."""
    starts, lengths, _ = behaviour.episodes()
    chosen = range(len(starts)) if episodes is None else episodes
    return [int(starts[k]) + i for k in chosen for i in range(lengths[k] - length + 1)]


@pytest.mark.parametrize(
    ("lengths", "long_enough"),
    [
        ([9, 5, 12, 30, 4, 7], [0, 1, 2, 3, 5]),  # the fifth is too short, the last unfinished
        ([9, 9, 4, 9, 9], [0, 1, 3, 4]),  # of one length where they count
    ],
)
def test_on_policy_weights_are_clipped_z_scores_of_log_probabilities(lengths, long_enough):
    behaviour = store(lengths, open_end=8)
    starts, lengths, _ = behaviour.episodes()
    likelihoods = [
        log_probabilities(behaviour.observations[s : s + n], behaviour.actions[s : s + n]).sum(
            dtype=np.float64
        )
        / (n if len(set(lengths[long_enough])) > 1 else 1)  # a mean where they differ
        for s, n in zip(starts, lengths, strict=True)
    ]
    z = stats.zscore([likelihoods[k] for k in long_enough])
    expected = np.zeros(len(lengths))
    expected[long_enough] = np.maximum(z, 0)
    weights = on_policy_weights(behaviour, LENGTH, log_probabilities)
    np.testing.assert_allclose(weights / weights.sum(), expected / expected.sum(), rtol=1e-6)


def test_on_policy_takes_the_open_episode_while_none_is_finished():
    weights = on_policy_weights(store([], open_end=20), LENGTH, log_probabilities)
    assert weights.tolist() == [1.0]


def test_on_policy_is_uniform_over_episodes_when_all_are_equally_likely():
    behaviour = store([10, 10, 3, 10], open_end=10)
    weights = on_policy_weights(behaviour, LENGTH, lambda o, a: np.full(len(o), -0.5, np.float32))
    assert weights.tolist() == [1, 1, 0, 1, 0]


@pytest.mark.parametrize(("episodes", "latest"), [(1, [4]), (2, [2, 4]), (9, [0, 1, 2, 4])])
def test_recent_draws_all_segments_of_the_last_episodes_with_equal_chance(episodes, latest):
    behaviour = store([9, 6, 12, 3], open_end=8)  # the fourth is too short to count
    weights = recent_weights(behaviour, LENGTH, episodes)
    drawn = behaviour.draw(np.random.default_rng(0), 20_000, LENGTH, weights)
    expected = windows(behaviour, LENGTH, latest)
    ids, counts = np.unique(drawn, return_counts=True)
    assert ids.tolist() == expected
    assert stats.chisquare(counts).pvalue > 1e-3


@given(
    st.lists(st.integers(1, 12), max_size=4),
    st.integers(0, 12),
    st.integers(1, 30),
    st.integers(0, 2**32 - 1),
)
def test_pairs_are_of_distinct_segments_and_none_comes_twice(lengths, open_end, count, seed):
    behaviour = store(lengths, open_end + 1)
    all_windows = windows(behaviour, LENGTH)
    generator = np.random.default_rng(seed)
    if len(all_windows) < 2:
        with pytest.raises(ValueError, match="no two segments of 5 steps"):
            independent_pairs(behaviour, LENGTH, count, None, generator)
        return
    pairs = independent_pairs(behaviour, LENGTH, count, None, generator)
    possible = {frozenset(pair) for pair in combinations(all_windows, 2)}
    assert len(pairs) == len(unordered(pairs)) == min(count, len(possible))
    assert unordered(pairs) <= possible


def test_a_pair_is_any_ordered_pair_of_segments_with_equal_chance():
    behaviour, generator = store([7, 6]), np.random.default_rng(1)  # windows 0 1 2 7 8
    seen = [tuple(independent_pairs(behaviour, 5, 1, None, generator)[0]) for _ in range(3000)]
    expected = list(permutations([0, 1, 2, 7, 8], 2))
    counts = [seen.count(pair) for pair in expected]
    assert sum(counts) == 3000
    assert stats.chisquare(counts).pvalue > 1e-3


def test_weights_without_two_segments_are_refused():
    with pytest.raises(ValueError, match=r"labels\.segment_length: .*: 1 seen"):
        independent_pairs(store([5, 9]), LENGTH, 3, np.array([1.0, 0.0]), np.random.default_rng(0))


def test_policy_rank_draws_segments_of_the_last_episodes_by_rank_without_replacement():
    """The chance of every pair by enumeration: its segments drawn one after the other."""
    behaviour = store([9, 6, 6], seed=3)  # the last two have windows 9 10 15 16
    made, ids = context(behaviour, LENGTH, 1), [9, 10, 15, 16]
    likely = [log_probabilities(*(a[0] for a in made.segments(np.array([i])))).mean() for i in ids]
    order = np.argsort(-np.array(likely)).tolist()
    p = {ids[k]: rank**-1.5 for rank, k in enumerate(order, 1)}
    p = {i: chance / sum(p.values()) for i, chance in p.items()}
    generator = np.random.default_rng(0)
    seen = [
        tuple(policy_rank(made, 1, generator, episodes=2, power=1.5)[0].tolist())
        for _ in range(4000)
    ]
    pairs = list(permutations(ids, 2))
    either = [p[a] * p[b] * (1 / (1 - p[a]) + 1 / (1 - p[b])) / 2 for a, b in pairs]
    counts = [seen.count(pair) for pair in pairs]
    assert sum(counts) == 4000
    assert stats.chisquare(counts, 4000 * np.array(either)).pvalue > 1e-3


def test_policy_rank_pairs_each_segment_once_and_the_likely_ones_most():
    behaviour = store([30] * 8, open_end=12)
    made = context(behaviour, LENGTH, 20)
    pairs = policy_rank(made, 20, np.random.default_rng(0), ranked=4, power=5.0)
    assert pairs.shape == (20, 2) and len(np.unique(pairs)) == 40
    everything = np.array(windows(behaviour, LENGTH))
    flat = [a.reshape(-1, a.shape[-1]) for a in made.segments(everything)]
    likely = log_probabilities(*flat).reshape(-1, LENGTH).mean(1)
    assert likely[np.isin(everything, pairs)].mean() > likely.mean() + likely.std()
    assert policy_rank(made, 10**4, np.random.default_rng(0)).shape == (len(everything) // 2, 2)
    with pytest.raises(ValueError, match=r"labels\.segment_length: .*: 1 seen"):
        policy_rank(context(store([5]), LENGTH, 1), 1, np.random.default_rng(0))


def test_overlap_is_the_mean_kernel_over_all_pairs_of_states():
    raw = np.random.default_rng(0).normal(3, 5, (6, 4, 3)) * [1, 100, 0]
    states, bandwidth = scaled(raw.astype(np.float32))
    assert states.shape == (6, 4, 2) and bandwidth == pytest.approx(4 ** (-1 / 6))
    np.testing.assert_allclose(states, stats.zscore(raw[..., :2], axis=(0, 1)), rtol=1e-4)
    expected = [
        np.mean([np.exp(-((x - y) ** 2).sum() / 2 / bandwidth**2) for x in a for y in b])
        for a, b in zip(states[:3], states[3:], strict=True)
    ]
    found = overlaps(states, np.arange(3), np.arange(3, 6), bandwidth)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("moving", [0.3, 1.0])
def test_motion_keeps_moving_pairs_and_of_these_the_most_different(moving):
    behaviour = store([40, 30, 50], seed=2)
    made = context(behaviour, LENGTH, 8)
    drawn = independent_pairs(behaviour, LENGTH, 80, None, np.random.default_rng(5))
    states, bandwidth = scaled(made.segments(np.unique(drawn))[0])

    def overlap(a, b):
        return overlaps(states, *np.searchsorted(np.unique(drawn), [[a], [b]]), bandwidth)[0]

    def still(pair):
        return max(overlap(i, i) for i in pair)

    def shared(pair):
        a, b = pair
        return overlap(a, b) / np.sqrt(overlap(a, a) * overlap(b, b))

    stay = sorted(drawn.tolist(), key=still)[: round(80 * moving)]
    expected = sorted(stay, key=shared)[:8]
    pairs = motion(made, 8, np.random.default_rng(5), moving=moving)
    assert pairs.tolist() == [pair for pair in drawn.tolist() if pair in expected]


def test_motion_asks_about_segments_that_move_and_in_different_ways():
    """Of ten episodes two stand still, four walk one way and four the other."""
    way = np.repeat([0.0, 1.0, -1.0], [2, 4, 4])
    behaviour = store([40] * 10)
    walk = 3 * np.tile(np.arange(40.0), 10) * np.repeat(way, 40)
    states = np.column_stack([behaviour.observations[:], walk])
    made = context(behaviour, 20, 30, segments=lambda ids: (states[ids[..., None] + range(20)], 0))
    pairs = motion(made, 30, np.random.default_rng(0))
    assert (np.sort(way[pairs // 40], axis=1) == [-1, 1]).all()


def blobs(sizes, seed=0):
    generator = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(sizes)), sizes)
    centres = 100 * np.eye(len(sizes))
    return label, centres[label] + generator.normal(size=(len(label), len(sizes)))


def test_exactly_the_pairs_across_clusters_can_be_drawn():
    label, latents = blobs([2, 3, 4])
    ids = 10 * np.arange(9)
    pairs = pairs_across_clusters(ids, latents, 3, 10**6, np.random.default_rng(0))
    expected = {
        frozenset((10 * i, 10 * j)) for i, j in combinations(range(9), 2) if label[i] != label[j]
    }
    assert unordered(pairs) == expected
    assert len(pairs) == len(expected) == 26


def test_pairs_across_clusters_are_drawn_uniformly_in_either_order():
    label, latents = blobs([1, 2, 2])
    generator = np.random.default_rng(3)
    seen = [
        tuple(pairs_across_clusters(np.arange(5), latents, 3, 1, generator)[0]) for _ in range(600)
    ]
    counts = [seen.count((i, j)) for i, j in permutations(range(5), 2) if label[i] != label[j]]
    assert sum(counts) == 600
    assert stats.chisquare(counts).pvalue > 1e-3
