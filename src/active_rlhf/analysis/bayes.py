"""Bayesian signed-rank test with a region of practical equivalence (ROPE).

Benavoli et al. (2014), "A Bayesian Wilcoxon signed-rank test based on the Dirichlet process", with
the three-way decision of Benavoli et al. (2017), "Time for a change".
"""

from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd

from active_rlhf.analysis.aggregate import Scales, resampled_ends
from active_rlhf.analysis.comparisons import differences
from active_rlhf.analysis.endpoints import by_seed
from active_rlhf.analysis.frames import needs

ROPE = 0.05  # in normalised return: a twentieth of the way from a random policy to the yardstick
FEWEST = 6  # seeds, with which the signed-rank test can reject at 5% too
PRIOR = 0.5  # weight of the one prior observation, a difference of zero
DRAWS = 10_000


def signed_rank_posterior(
    d: np.ndarray, rope: float, draws: int = DRAWS, prior: float = PRIOR
) -> tuple[float, float, float]:
    """Posterior probabilities (a better, practically equal, b better) of differences d = a - b [n].

    Weights of the observations and of one pseudo-observation at zero are drawn from a Dirichlet
    (prior, 1, ..., 1). Each draw gives the weighted shares of Walsh averages above rope, within
    +-rope and below -rope; the result is how often each of the three is the largest. The random
    numbers are seeded.
    """
    z = np.concatenate([[0.0], d])
    weights = _weights(len(d), draws, prior)
    walsh = np.add.outer(z, z) / 2
    regions = [walsh > rope, np.abs(walsh) <= rope, walsh < -rope]
    shares = [np.einsum("bi,bi->b", weights @ region.astype(float), weights) for region in regions]
    won = np.bincount(np.argmax(shares, axis=0), minlength=3) / draws
    return float(won[0]), float(won[1]), float(won[2])


@lru_cache(maxsize=1)
def _weights(n: int, draws: int, prior: float) -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.r_[prior, np.ones(n)], draws)


@needs(endpoints="env method seed metric_type value")
def bayes(
    endpoints: pd.DataFrame,
    scales: Scales,
    rope: float = ROPE,
    resamples: int = 10_000,
    paired: bool = True,
) -> pd.DataFrame:
    """Posterior probabilities of each pair and endpoint: in each environment and over `all`.

    The ROPE is +-rope in normalised return, by the baselines' means of the same endpoint; the
    column `rope` gives it in units of return. For `all`, normalised differences are put together,
    and `rope` is in that unit. Where there is no scale, or fewer than 6 seeds, there is no
    posterior, and `note` says why. There are no rows if runs are not paired by seed. resamples: of
    the baselines, as in `aggregates`.
    """
    rows = []
    for metric_type, values in endpoints.groupby("metric_type", sort=False) if paired else ():
        ends = resampled_ends(scales.get(str(metric_type), {}), resamples)
        widths = {env: float(high[0] - low[0]) for env, (low, high) in ends.items()}
        tables = {str(env): by_seed(group) for env, group in values.groupby("env", sort=False)}
        names = list(dict.fromkeys(name for table in tables.values() for name in table))
        for a, b in combinations(names, 2):
            scaled = []
            for env, table in tables.items():
                pair = table.reindex(columns=[a, b]).dropna().to_numpy().T
                d = differences(*pair)
                if not len(d):
                    continue
                width = widths.get(env, np.nan)
                if width > 0:
                    scaled.append(d / width)
                rows.append((metric_type, env, a, b, len(d), *_row(d, rope * width)))
            if len(scaled) > 1:
                d = np.concatenate(scaled)
                rows.append((metric_type, "all", a, b, len(d), *_row(d, rope)))
    columns = "metric_type env method_a method_b n rope p_a p_rope p_b note"
    return pd.DataFrame(rows, columns=columns.split())


def _row(d: np.ndarray, rope: float) -> tuple[float, float, float, float, str]:
    """ROPE in the unit of d, the three probabilities, and why there are none."""
    nothing = (np.nan, np.nan, np.nan)
    if np.isnan(rope):
        return rope, *nothing, "no baselines that can be told apart, to declare equivalence by"
    if len(d) < FEWEST:
        return rope, *nothing, f"fewer than {FEWEST} seeds"
    return rope, *signed_rank_posterior(d, rope), ""
