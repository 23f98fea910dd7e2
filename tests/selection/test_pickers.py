"""Pickers against brute force on small pools."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from active_rlhf import parts
from active_rlhf.selection.pickers.k_center import squared_distances

PICKERS = parts.known("picker")


class Pool:
    """What pickers look at, made up."""

    def __init__(
        self, scores, step_differences=None, latents=None, points=None, asked=None, predicted=()
    ):
        self.scores, self.step_differences, self.latents = scores, step_differences, latents
        if points is not None:
            self.points, self.action_points = points[..., :4], points[..., 4:]
            self.labelled_points, self.labelled_action_points = asked[..., :4], asked[..., 4:]
        names = ("features", "differences", "labelled_features", "labelled_differences", "answers")
        for name, value in zip(names, predicted, strict=False):
            setattr(self, name, value)

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
        predicted=(
            *(generator.normal(size=(2, m, 2, 4)), generator.normal(size=(2, m))),
            *(generator.normal(size=(2, asked, 2, 4)), generator.normal(size=(2, asked))),
            generator.choice([0.0, 0.5, 1.0, np.nan], asked),
        ),
    )


def information(features, differences):
    """Fisher information [E, k, k] of the last layers, summed over pairs, one after the other."""
    total = np.zeros((len(features), *2 * features.shape[-1:]))
    for e, (member, gaps) in enumerate(zip(features, differences, strict=True)):
        for (a, b), gap in zip(member, gaps, strict=True):
            p = 1 / (1 + np.exp(-gap))
            total[e] += p * (1 - p) * np.outer(a - b, a - b)
    return total


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_d_optimal_increases_the_log_determinant_of_the_information_most(seed, past):
    pool, prior = made_up(9, seed, asked=5), 0.3
    new = [information(pool.features[:, i, None], pool.differences[:, i, None]) for i in range(9)]
    known = prior * np.mean([np.trace(a, axis1=1, axis2=2) for a in new], axis=0) / 4
    known = known[:, None, None] * np.eye(4)
    if past:
        counts = np.isfinite(pool.answers)
        known += information(
            pool.labelled_features[:, counts], pool.labelled_differences[:, counts]
        )
    expected = []
    for _ in range(6):
        left = [i for i in range(9) if i not in expected]
        after = {i: np.linalg.slogdet(known + new[i])[1].mean() for i in left}
        expected.append(max(after, key=after.get))
        known = known + new[expected[-1]]
    assert pick("d_optimal", pool, 6, prior=prior, past=past).tolist() == expected


def test_d_optimal_takes_no_pair_whose_answer_is_foreseen_and_of_equals_the_better_scored():
    """Three kinds of pairs, several of each, the answers to the third foreseen."""
    kind = np.repeat(np.arange(3), [4, 3, 2])
    features = np.stack([np.eye(3)[kind], np.zeros((9, 3))], axis=1)[None]
    scores = np.array([0, 3, 1, 2, 5, 4, 6, 7, 8.0])
    sure = np.where(kind == 2, 12.0, 0.0)[None]
    nothing = np.empty((1, 0, 2, 3)), np.empty((1, 0)), np.empty(0)
    pool = Pool(scores, predicted=(features, sure, *nothing))
    assert pick("d_optimal", pool, 4, prior=0.1).tolist() == [6, 1, 4, 3]


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
