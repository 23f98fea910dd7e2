"""Pickers against brute force on small pools."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from active_rlhf import parts
from active_rlhf.selection.pickers.k_center import squared_distances

PICKERS = parts.known("picker")


class Pool:
    """What pickers look at, made up."""

    def __init__(self, scores, step_differences=None, latents=None, points=None, asked=None):
        self.scores, self.step_differences, self.latents = scores, step_differences, latents
        if points is not None:
            self.points, self.action_points = points[..., :4], points[..., 4:]
            self.labelled_points, self.labelled_action_points = asked[..., :4], asked[..., 4:]

    def __len__(self):
        return len(self.scores)


def pick(name, pool, batch, seed=0, **settings):
    return parts.part("picker", name).start(settings)(pool, batch, np.random.default_rng(seed))


def made_up(m, seed=0, asked=3):
    generator = np.random.default_rng(seed)
    return Pool(
        scores=generator.integers(0, 4, m).astype(float),
        step_differences=generator.normal(size=(m, 5)),
        latents=generator.normal(size=(m, 2, 3)),
        points=generator.normal(size=(m, 2, 6)),
        asked=generator.normal(size=(asked, 2, 6)),
    )


@pytest.mark.parametrize("name", PICKERS)
@given(st.integers(1, 14), st.data())
@settings(max_examples=30, deadline=None)
def test_picks_are_distinct_repeatable_and_as_many_as_asked(name, m, data):
    batch, seed = data.draw(st.integers(1, m)), data.draw(st.integers(0, 1000))
    pool = made_up(m, seed)
    chosen = pick(name, pool, batch, seed)
    assert len(chosen) == len(set(chosen.tolist())) == batch
    assert set(chosen.tolist()) <= set(range(m))
    assert pick(name, pool, batch, seed).tolist() == chosen.tolist()


def test_random_takes_every_subset_with_equal_chance():
    pool, generator = Pool(np.arange(5.0)), np.random.default_rng(0)
    random = parts.part("picker", "random").start({})
    seen = [frozenset(random(pool, 2, generator).tolist()) for _ in range(5000)]
    counts = [seen.count(frozenset(pair)) for pair in combinations(range(5), 2)]
    assert sum(counts) == 5000
    assert stats.chisquare(counts).pvalue > 1e-3


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.data())
def test_top_takes_the_best_scores_and_of_equal_ones_the_earlier(scores, data):
    batch = data.draw(st.integers(1, len(scores)))
    expected = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:batch]
    assert pick("top", Pool(np.array(scores, float)), batch).tolist() == expected


def test_kmeans_takes_the_member_nearest_to_the_centre_of_each_cluster():
    generator = np.random.default_rng(0)
    label = generator.permutation(np.repeat(np.arange(4), [3, 5, 7, 9]))
    points = 100 * np.eye(4, 6)[label] + generator.normal(size=(24, 6))
    expected = set()
    for cluster in range(4):
        members = np.flatnonzero(label == cluster)
        centre = points[members].mean(axis=0)
        expected.add(int(min(members, key=lambda i: ((points[i] - centre) ** 2).sum())))
    chosen = pick("kmeans", Pool(generator.normal(size=24), points), 4)
    assert set(chosen.tolist()) == expected


def test_kmeans_fills_empty_clusters_by_score():
    points = np.repeat(np.eye(3), [2, 4, 3], axis=0)  # three different points for five clusters
    scores = np.array([0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.0, 0.6, 0.5])
    chosen = pick("kmeans", Pool(scores, points), 5)
    clusters, fill = chosen[:3], chosen[3:]
    assert {int(np.argmax(points[i])) for i in clusters} == {0, 1, 2}
    rest = sorted(set(range(9)) - set(clusters.tolist()), key=lambda i: -scores[i])
    assert fill.tolist() == rest[:2]


def pair_distance(first, second):
    (a, b), (c, d) = first, second
    return min(
        ((a - c) ** 2).sum() + ((b - d) ** 2).sum(), ((a - d) ** 2).sum() + ((b - c) ** 2).sum()
    )


@pytest.mark.parametrize("actions", [False, True])
@pytest.mark.parametrize("asked", [0, 1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_k_center_is_farthest_first_from_what_was_asked(asked, seed, actions):
    pool = made_up(9, seed, asked)
    points, covered = pool.points, list(pool.labelled_points)
    if actions:
        points = np.concatenate([points, pool.action_points], -1)
        covered = list(np.concatenate([pool.labelled_points, pool.labelled_action_points], -1))
    expected = []
    for _ in range(5):
        if covered:
            distance = [min(pair_distance(pair, other) for other in covered) for pair in points]
            expected.append(int(np.argmax(distance)))
        else:
            expected.append(int(np.argmax(pool.scores)))
        covered.append(points[expected[-1]])
    assert pick("k_center", pool, 5, actions=actions).tolist() == expected


@given(st.integers(0, 1000))
def test_pair_distance_ignores_the_order_of_members(seed):
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=(4, 2, 3)), generator.normal(size=(5, 2, 3))
    distance = squared_distances(first, second)
    expected = [[pair_distance(x, y) for y in second] for x in first]
    np.testing.assert_allclose(distance, expected, atol=1e-12)
    np.testing.assert_allclose(squared_distances(first[:, ::-1], second), distance, atol=1e-12)
    np.testing.assert_allclose(squared_distances(first, first[:, ::-1]).diagonal(), 0, atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_kmeans_picks_the_same_pairs_whichever_segment_comes_first(seed, m):
    """Brute force over both orders of every pair at once: nothing may depend on them."""
    rng = np.random.default_rng(seed)
    differences, scores = rng.normal(size=(m, 6)), rng.random(m)
    swapped = differences * rng.choice([-1, 1], (m, 1))
    batch = int(rng.integers(1, m + 1))
    picked = [pick("kmeans", Pool(scores, d), batch, seed) for d in (differences, swapped)]
    np.testing.assert_array_equal(*picked)
