"""How drawn segments are paired: as they come, or across clusters of their latents (VARIQuery)."""

import numpy as np

from active_rlhf.selection.clusters import kmeans

PAIRINGS = ("independent", "cross_cluster")
CLUSTERS = (10, 2, 1000)  # default, fewest, most


def pairs_across_clusters(
    ids: np.ndarray,
    latents: np.ndarray,
    clusters: int,
    count: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Up to `count` pairs [., 2] of the segments `ids`, members in different clusters.

    `latents` [n, z], standardised, are clustered by k-means; the pairs are a uniform draw without
    replacement from all those that join two clusters (VARIQuery, Marta et al. 2023), in random
    order of members. Empty if all segments fall into one cluster.
    """
    _, label = kmeans(latents, clusters, generator)
    first, second = np.triu_indices(len(ids), 1)
    across = np.flatnonzero(label[first] != label[second])
    chosen = generator.choice(across, size=min(count, len(across)), replace=False)
    pairs = ids[np.stack([first[chosen], second[chosen]], axis=1)]
    return generator.permuted(pairs, axis=1)
