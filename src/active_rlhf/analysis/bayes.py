"""Bayesian signed-rank test with a region of practical equivalence (ROPE).

Benavoli et al. (2014), "A Bayesian Wilcoxon signed-rank test based on the Dirichlet process", with
the three-way decision of Benavoli et al. (2017), "Time for a change".
"""

from itertools import combinations

import numpy as np
import pandas as pd

from active_rlhf.analysis.endpoints import by_seed
from active_rlhf.analysis.frames import needs

ROPE = 0.1  # in pooled standard deviations: half of Cohen's small effect (Kruschke 2018)
PRIOR = 0.5  # weight of the one prior observation, a difference of zero
DRAWS = 10_000


def signed_rank_posterior(
    differences: np.ndarray, rope: float, draws: int = DRAWS, prior: float = PRIOR
) -> tuple[float, float, float]:
    """Posterior probabilities (a better, practically equal, b better) of differences a - b [n].

    Weights of the observations and of one pseudo-observation at zero are drawn from a Dirichlet
    (prior, 1, ..., 1). Each draw gives the weighted shares of Walsh averages above rope, within
    +-rope and below -rope; the result is how often each of the three is the largest. The random
    numbers are seeded.
    """
    z = np.concatenate([[0.0], differences])
    weights = np.random.default_rng(0).dirichlet(np.r_[prior, np.ones(len(differences))], draws)
    walsh = np.add.outer(z, z) / 2
    regions = [walsh > rope, np.abs(walsh) <= rope, walsh < -rope]
    shares = [np.einsum("bi,bi->b", weights @ region.astype(float), weights) for region in regions]
    won = np.bincount(np.argmax(shares, axis=0), minlength=3) / draws
    return float(won[0]), float(won[1]), float(won[2])


def pooled_sd(a: np.ndarray, b: np.ndarray) -> float:
    """Root of the mean of the two sample variances; NaN for one run each."""
    return float(np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)) if len(a) > 1 else np.nan


@needs(endpoints="env method seed metric_type value")
def bayes(endpoints: pd.DataFrame) -> pd.DataFrame:
    """Posterior probabilities of each pair and endpoint: in each environment and over `all`.

    The ROPE is +-0.1 pooled standard deviations of the two methods; `rope` gives it in units of
    return. For `all`, the differences are divided by the pooled standard deviation of their
    environment before they are put together, and `rope` is in that unit. Pairs with fewer than two
    seeds or without any spread are left out.
    """
    rows = []
    for metric_type, values in endpoints.groupby("metric_type", sort=False):
        tables = {str(env): by_seed(group) for env, group in values.groupby("env", sort=False)}
        names = list(dict.fromkeys(name for table in tables.values() for name in table))
        for a, b in combinations(names, 2):
            scaled = []
            for env, table in tables.items():
                pair = table.reindex(columns=[a, b]).dropna().to_numpy().T
                sd = pooled_sd(*pair)
                if not sd > 0:
                    continue
                d = pair[0] - pair[1]
                scaled.append(d / sd)
                posterior = signed_rank_posterior(d, ROPE * sd)
                rows.append((metric_type, env, a, b, len(d), ROPE * sd, *posterior))
            if len(scaled) > 1:
                d = np.concatenate(scaled)
                posterior = signed_rank_posterior(d, ROPE)
                rows.append((metric_type, "all", a, b, len(d), ROPE, *posterior))
    columns = "metric_type env method_a method_b n rope p_a p_rope p_b"
    return pd.DataFrame(rows, columns=columns.split())
