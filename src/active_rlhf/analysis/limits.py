"""What limits the return: the labels, or the rest of the learner.

If labels are the bottleneck, then the same agent reaches more with the environment's own reward
than with a learned one, and among the learned ones better reward models go with higher returns.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from active_rlhf.analysis.comparisons import differences
from active_rlhf.analysis.endpoints import by_seed
from active_rlhf.analysis.frames import SESSIONS, needs
from active_rlhf.analysis.intervals import (
    hodges_lehmann,
    hodges_lehmann_interval,
    percentile_interval,
    resample_counts,
    t_interval,
)
from active_rlhf.analysis.power import smallest_p
from active_rlhf.analysis.reward import reward_endpoints

QUALITY = "reward_correlation"  # of a reward model; it does not depend on the scale of rewards
LABELS, OTHER, UNCLEAR = "labels", "not labels", "unclear"
ROOM = 0.5  # share of what the true reward leads to that must be excluded, to say "not labels"
RUNS = ("env", "metric_type", "method", "seed", "value", "quality")  # columns
LIMITS = (
    *("env", "metric_type", "method", "n", "mean", "ci_low", "ci_high"),
    *("n_true", "mean_true", "ci_true_low", "ci_true_high"),
    *("n_pairs", "gap", "ci_gap_low", "ci_gap_high"),
    *("seeds", "runs", "spearman", "ci_spearman_low", "ci_spearman_high", "learned"),
    "verdict",
)
_ENDPOINTS = ("endpoint", "final", "evaluation")


@needs(returns="env method seed metric_type value", sessions=SESSIONS)
def quality(returns: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """Each run's return, `value`, beside the `quality` of its reward model after the last session.

    returns: `endpoints`; of these, the main one and those beside it. sessions: as in
    `reward_endpoints`. Runs without a reward model, or where it is undefined, are left out.
    """
    found = reward_endpoints(sessions, [QUALITY])
    found = found[found["metric_type"] == QUALITY].rename(columns={"value": "quality"})
    rows = returns[returns["metric_type"].isin(_ENDPOINTS)].astype({"method": str})
    keys = ["env", "method", "seed"]
    rows = rows.merge(found.astype({"method": str})[[*keys, "quality"]], on=keys)
    return rows.astype({"method": returns["method"].dtype})[list(RUNS)]


@needs(runs=" ".join(RUNS), baselines="env method seed metric_type value")
def limits(
    runs: pd.DataFrame,
    baselines: pd.DataFrame,
    random_policy: str,
    true_reward: str,
    alpha: float = 0.05,
    resamples: int = 10_000,
) -> pd.DataFrame:
    """One row per environment x return x method that learns a reward.

    runs: as `quality` gives them; baselines: `endpoints` of the two named ones, of which
    `true_reward` is the same agent on the environment's own reward. `gap` is the Hodges-Lehmann
    estimate of the true reward's return minus the method's, paired by seed, with its exact
    interval. `spearman` is the rank correlation, over all `runs` of these methods, of quality with
    return; its interval is a percentile bootstrap that draws whole seeds. `learned` is how much the
    true reward's mean is above the random policy's. These and `verdict` are about the environment,
    and the same in all its rows.
    """
    rows = []
    low, true = (baselines[baselines["method"] == name] for name in (random_policy, true_reward))
    for (env, metric_type), known in runs.groupby(["env", "metric_type"], sort=False):
        yardstick, nothing = (
            frame[(frame["env"] == env) & (frame["metric_type"] == metric_type)]
            .set_index("seed")["value"]
            .astype(float)
            for frame in (true, low)
        )
        if yardstick.empty or nothing.empty:
            continue
        seeds = known["seed"].to_numpy()
        pair = known["quality"].to_numpy(), known["value"].to_numpy()
        rho = rank_correlation(*pair, seeds, 1 - alpha, resamples)
        of_methods = by_seed(known)
        own = [_against(of_methods[name].dropna(), yardstick, 1 - alpha) for name in of_methods]
        gaps = [(row["ci_gap_low"], row["ci_gap_high"]) for row in own]
        fewest = min(int(row["n_pairs"]) for row in own)
        learned = float(yardstick.mean() - nothing.mean())
        shared = {
            "seeds": len(set(seeds)),
            "runs": len(known),
            **dict(zip(_of("spearman"), rho, strict=True)),
            "learned": learned,
            "verdict": verdict(fewest, gaps, rho[1:], learned, alpha),
        }
        keys_of = {"env": env, "metric_type": metric_type}
        rows += [
            keys_of | {"method": method} | row | shared
            for method, row in zip(of_methods, own, strict=True)
        ]
    frame = pd.DataFrame(rows, columns=LIMITS)
    return frame.astype({"method": runs["method"].dtype})


def _of(name: str) -> tuple[str, str, str]:
    return name, f"ci_{name}_low", f"ci_{name}_high"


def _against(own: pd.Series, true: pd.Series, level: float) -> dict[str, float]:
    """A method's values by seed beside those on the true reward, and the difference of the two."""
    pair = pd.concat([true, own], axis=1, join="inner").to_numpy().T
    d = differences(*pair)
    found: dict[str, float] = {"n": len(own), "n_true": len(true), "n_pairs": len(d)}
    for suffix, values in (("", own), ("_true", true)):
        low, high = t_interval(values.to_numpy(), level)
        found |= {f"mean{suffix}": float(values.mean())}
        found |= {f"ci{suffix}_low": low, f"ci{suffix}_high": high}
    gap = (hodges_lehmann(d), *hodges_lehmann_interval(d, level)) if len(d) else [np.nan] * 3
    return found | dict(zip(_of("gap"), gap, strict=True))


def verdict(
    n: int,
    gaps: Sequence[tuple[float, float]],
    correlation: tuple[float, float],
    learned: float,
    alpha: float = 0.05,
) -> str:
    """Whether labels limit the return, from the intervals of gaps and correlation.

    n: the fewest pairs of a gap; learned: how much the true reward's mean return is above a random
    policy's. LABELS if some gap and the correlation lie wholly above zero. OTHER if neither does
    and every gap lies below ROOM of what was learned. Else UNCLEAR: as where the correlation is
    undefined, or where n pairs are too few for the exact test to reject anything at alpha (under 6,
    at 5%).
    """
    if smallest_p(n) > alpha or np.isnan(correlation).any():
        return UNCLEAR
    behind, together = any(low > 0 for low, _ in gaps), correlation[0] > 0
    if behind and together:
        return LABELS
    narrow = all(high < ROOM * learned for _, high in gaps)
    return OTHER if narrow and not behind and not together else UNCLEAR


def rank_correlation(
    a: np.ndarray, b: np.ndarray, seeds: np.ndarray, level: float = 0.95, resamples: int = 10_000
) -> tuple[float, float, float]:
    """Spearman's rho of a and b [runs] and its interval, by a bootstrap of whole seeds.

    The runs of a seed have much in common, so they are drawn together. NaN if a or b is constant;
    resamples where one of them is are left out of the interval, which is NaN for a single seed.
    """
    _, place = np.unique(seeds, return_inverse=True)
    count = int(place.max()) + 1
    drawn = resample_counts(count, resamples, np.random.default_rng(0))
    rho = weighted_spearman(a, b, np.vstack([np.ones(count), drawn])[:, place])
    found = rho[1:][np.isfinite(rho[1:])]
    if count < 2 or np.isnan(rho[0]) or not len(found):
        return float(rho[0]), np.nan, np.nan
    low, high = percentile_interval(found, level)
    return float(rho[0]), float(low), float(high)


def weighted_spearman(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Spearman's rho [B] of a and b [n] where each run occurs `counts` [B, n] times."""
    total = counts.sum(axis=1, keepdims=True)
    x, y = (
        ranks - (counts * ranks).sum(axis=1, keepdims=True) / total
        for ranks in (_ranks(a, counts), _ranks(b, counts))
    )
    scale = np.sqrt((counts * x * x).sum(axis=1) * (counts * y * y).sum(axis=1))
    covariance = (counts * x * y).sum(axis=1)
    return np.divide(covariance, scale, out=np.full(len(scale), np.nan), where=scale > 1e-9)


def _ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Midranks [B, n] of values [n] among those that occur `counts` [B, n] times."""
    _, group = np.unique(values, return_inverse=True)
    sizes = counts @ (group[:, None] == np.arange(group.max() + 1))
    return (np.cumsum(sizes, axis=1) - (sizes - 1) / 2)[:, group]
