"""The observation normaliser: running mean and variance, as gymnasium's NormalizeObservation."""

from collections import namedtuple

import numpy as np

from active_rlhf.agents.kernels import OBSERVATION_CLIP, VARIANCE_FLOOR

Moments = namedtuple("Moments", "mean var count")
Moments.__doc__ = """Running mean [o], variance [o] and count [1] of observations, float64."""


def empty_moments(observations: int) -> Moments:
    """Moments before any observation: unit variance with gymnasium's small count."""
    return Moments(np.zeros(observations), np.ones(observations), np.full(1, 1e-4))


def count(moments: Moments, raw: np.ndarray) -> None:
    """Update the moments with one raw observation [o], in place."""
    n = moments.count[0]
    delta = raw - moments.mean
    moments.mean[:] += delta / (n + 1)
    moments.var[:] = (moments.var * n + delta * delta * n / (n + 1)) / (n + 1)
    moments.count[0] = n + 1


def count_all(moments: Moments, raw: np.ndarray) -> None:
    """Update the moments with raw observations [n, o] at once, in place (Chan et al. 1983)."""
    n, before = len(raw), moments.count[0]
    total = before + n
    mean = raw.mean(0, dtype=np.float64)
    squares = ((raw - mean) ** 2).sum(0)
    delta = mean - moments.mean
    moments.mean[:] += delta * n / total
    moments.var[:] = (moments.var * before + squares + delta * delta * before * n / total) / total
    moments.count[0] = total


def normalised(moments: Moments, raw: np.ndarray) -> np.ndarray:
    """Raw observations [..., o] as networks see them, float32, clipped to +-10."""
    z = (raw - moments.mean) / np.sqrt(moments.var + VARIANCE_FLOOR)
    return np.clip(z, -OBSERVATION_CLIP, OBSERVATION_CLIP).astype(np.float32)
