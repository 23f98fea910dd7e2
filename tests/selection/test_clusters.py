"""k-means against scikit-learn's."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from active_rlhf.selection.clusters import kmeans


@pytest.mark.parametrize("seed", range(5))
def test_separate_groups_are_found(seed):
    generator = np.random.default_rng(seed)
    middles = 100 * np.eye(6)[:5]
    points = np.repeat(middles, 20, axis=0) + generator.normal(size=(100, 6))
    centres, label = kmeans(points, 5, generator)
    assert adjusted_rand_score(label, KMeans(5, random_state=0).fit_predict(points)) == 1
    np.testing.assert_allclose(centres[label], np.repeat(middles, 20, axis=0), atol=2)


def test_it_ends_as_near_to_a_minimum_as_scikit_learns():
    """On points without groups, over starts."""
    points = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    own, theirs = [], []
    for seed in range(20):
        centres, label = kmeans(points, 10, np.random.default_rng(seed))
        np.testing.assert_allclose(centres[3], points[label == 3].mean(0), rtol=1e-4, atol=1e-4)
        own.append(((points - centres[label]) ** 2).sum())
        theirs.append(KMeans(10, n_init=1, random_state=seed).fit(points).inertia_)
    assert np.mean(own) == pytest.approx(np.mean(theirs), rel=0.02)


def test_no_more_clusters_than_different_points():
    points = np.repeat([[0.0, 0.0], [3.0, 4.0]], 4, axis=0)
    centres, label = kmeans(points, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(centres[label], points)
    assert len(centres) == 2
