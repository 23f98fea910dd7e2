"""Observations as networks see them, by running moments that count one at a time."""

import numpy as np

from active_rlhf.compute.compilation import compiled

OBSERVATION_CLIP = 10.0
VARIANCE_FLOOR = 1e-8


@compiled
def normalise(raw, moments, learning, out):
    """Write the normalised form of the observation `raw` to `out`, counting it first if `learning`.

    The same arithmetic as gymnasium's NormalizeObservation, then clipped to +-10.
    """
    n = moments.count[0]
    total = n + 1.0
    for i in range(raw.size):
        if learning:
            delta = raw[i] - moments.mean[i]
            moments.mean[i] += delta / total
            moments.var[i] = (moments.var[i] * n + delta * delta * n / total) / total
        z = (raw[i] - moments.mean[i]) / np.sqrt(moments.var[i] + VARIANCE_FLOOR)
        out[i] = min(max(z, -OBSERVATION_CLIP), OBSERVATION_CLIP)
    if learning:
        moments.count[0] = total
