"""Clusters of points."""

import warnings

import numpy as np

ITERATIONS = 100  # of Lloyd's algorithm; a session's points settle in about ten


def kmeans(
    points: np.ndarray, clusters: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Centres [k, d] and the cluster of each point [n] of k-means from k-means++ seeds.

    points [n, d]; k is `clusters`, or the number of different points if there are fewer. A cluster
    may be empty. Uses scipy, as scikit-learn takes 140 MB and a second to import.
    """
    from scipy.cluster.vq import kmeans2  # not needed to check a config

    k = min(clusters, len(np.unique(points, axis=0)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")
        centres, label = kmeans2(points, k, ITERATIONS, minit="++", rng=generator)
    return centres, label
