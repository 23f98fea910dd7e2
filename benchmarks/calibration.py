"""Whether the statistics keep what they declare: simulated studies with known answers.

    python benchmarks/calibration.py [--studies 500] [--out benchmarks/calibration.json]

A study has four methods and ten seeds in two environments. In `null` the methods are alike; in
`effect` they differ in mean and spread. A return is a seed's effect, the same for every method,
plus the run's own noise; each has half of the variance. Both are normal, skewed (exponential) or
heavy-tailed (t with 3 degrees of freedom). Reported are how often a test rejects in `null`, which
should be at most alpha, and how often an interval covers the true value, which should be 1 - alpha,
with exact binomial intervals over the studies.
"""

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from threadpoolctl import threadpool_limits

from active_rlhf.analysis.aggregate import aggregates, improvements, iqm
from active_rlhf.analysis.bayes import bayes
from active_rlhf.analysis.comparisons import comparisons, summary
from active_rlhf.analysis.ranks import ranks

ALPHA = 0.05
METHODS = ("A", "B", "C", "D")
MEANS = {"null": (0.0, 0.0, 0.0, 0.0), "effect": (0.0, 0.4, 0.8, 1.2)}
SPREADS = {"null": (1.0, 1.0, 1.0, 1.0), "effect": (1.0, 2.0, 1.0, 0.5)}  # of the run's own noise
LOW, HIGH = -3.0, 3.0  # means of the baselines
RETURNS = ("normal", "skewed", "heavy-tailed")
LARGE = 1_000_000  # draws for a true value

Observed = dict[tuple[str, str], tuple[float, bool]]  # (kind, what) -> declared, whether it was so


def noise(returns: str, size: int | tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Zero mean, unit variance."""
    if returns == "normal":
        return rng.normal(size=size)
    if returns == "skewed":
        return rng.exponential(size=size) - 1
    return rng.standard_t(3, size=size) / np.sqrt(3)


def values(returns: str, env: str, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """Returns [seeds, methods]."""
    shared, own = noise(returns, (seeds, 1), rng), noise(returns, (seeds, len(METHODS)), rng)
    return np.array(MEANS[env]) + np.sqrt(0.5) * (shared + np.array(SPREADS[env]) * own)


def study(returns: str, seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    """The endpoints of a simulated study."""
    frames = []
    for env in MEANS:
        wide = pd.DataFrame(values(returns, env, seeds, rng), columns=list(METHODS))
        frames.append(wide.rename_axis("seed").reset_index().melt("seed", var_name="method"))
        frames[-1].insert(0, "env", env)
    return pd.concat(frames, ignore_index=True).assign(metric_type="endpoint")


def truths(returns: str) -> dict[str, float]:
    """What the intervals should cover: A in `null`, B minus A in `effect`, and B over both."""
    rng = np.random.default_rng(0)
    drawn = {env: values(returns, env, LARGE, rng) for env in MEANS}
    d = drawn["effect"][:, 1] - drawn["effect"][:, 0]
    pooled = [(drawn[env][:, 1] - LOW) / (HIGH - LOW) for env in MEANS]
    a, b = drawn["effect"][:, 0], rng.permutation(drawn["effect"][:, 1])
    return {
        "mean": 0.0,
        "difference": MEANS["effect"][1] - MEANS["effect"][0],
        "hodges_lehmann": float(np.median((d + rng.permutation(d)) / 2)),
        "improvement": float(np.mean(b > a)),
        "iqm": float(iqm(pooled, [np.ones((1, LARGE))] * 2)[0]),
        "normalised mean": float(np.mean(pooled)),
    }


def observed(
    returns: str, true: dict[str, float], seeds: int, resamples: int, seed: int
) -> Observed:
    """Every test and interval of one study."""
    rng = np.random.default_rng([seed, RETURNS.index(returns)])
    endpoints = study(returns, seeds, rng)
    null, effect = (endpoints[endpoints["env"] == env] for env in MEANS)
    pairs = comparisons(null, alpha=ALPHA, resamples=resamples)
    first = pairs.iloc[0]
    two = null[null["method"].isin(METHODS[:2])]
    ends = (
        LOW + 0.2 * noise(returns, seeds, rng),
        HIGH + noise(returns, seeds, rng),
    )
    scales = {"endpoint": dict.fromkeys(MEANS, ends)}
    belief = bayes(two, scales, resamples=resamples).iloc[0]
    friedman = ranks(null, ALPHA).iloc[0]
    against = comparisons(effect, alpha=ALPHA, resamples=resamples, against="A").iloc[0]
    pooled = aggregates(endpoints, scales, ALPHA, resamples)
    pooled = pooled[pooled["method"] == "B"].set_index("statistic")
    wins = improvements(effect, ALPHA, resamples).set_index(["env", "method_a", "method_b"])
    mean = summary(null, ALPHA).iloc[0]

    def covers(row: Any, name: str, truth: float) -> tuple[float, bool]:
        return 1 - ALPHA, bool(row[f"{name}_low"] <= truth <= row[f"{name}_high"])

    return {
        ("test", "Wilcoxon signed-rank, one pair"): (ALPHA, bool(first["p_value"] <= ALPHA)),
        ("test", "Holm, any of a family's six"): (ALPHA, bool(pairs["reject_null"].any())),
        ("test", "Mann-Whitney, one pair"): (ALPHA, bool(first["p_mannwhitney"] <= ALPHA)),
        ("test", "Friedman, Iman and Davenport's F"): (
            ALPHA,
            bool(friedman["p_iman_davenport"] <= ALPHA),
        ),
        ("test", "Bayesian: one is better, above .95"): (
            ALPHA,
            bool(max(belief["p_a"], belief["p_b"]) > 1 - ALPHA),
        ),
        ("interval", "`summary`: t, of a mean"): covers(mean, "ci", true["mean"]),
        ("interval", "`ci_t`"): covers(against, "ci_t", true["difference"]),
        ("interval", "`ci_boot`"): covers(against, "ci_boot", true["difference"]),
        ("interval", "`ci_bca`"): covers(against, "ci_bca", true["difference"]),
        ("interval", "`ci_hl`"): covers(against, "ci_hl", true["hodges_lehmann"]),
        ("interval", "`improvement`"): covers(
            wins.loc[("effect", "B", "A")], "ci", true["improvement"]
        ),
        ("interval", "`aggregates`: IQM"): covers(pooled.loc["iqm"], "ci", true["iqm"]),
        ("interval", "`aggregates`: mean"): covers(
            pooled.loc["mean"], "ci", true["normalised mean"]
        ),
    }


def calibration(
    returns: str, studies: int = 500, seeds: int = 10, resamples: int = 1000
) -> list[dict[str, Any]]:
    """A row for each test and interval: declared and observed rate."""
    with threadpool_limits(1):
        true = truths(returns)
        found = [observed(returns, true, seeds, resamples, i) for i in range(studies)]
    rows = []
    for (kind, what), (declared, _) in found[0].items():
        count = sum(one[kind, what][1] for one in found)
        exact = stats.binomtest(count, studies).proportion_ci(method="exact")
        rates = {"rate": count / studies, "low": float(exact.low), "high": float(exact.high)}
        size = {"studies": studies, "seeds": seeds, "resamples": resamples}
        names = {"kind": kind, "what": what, "returns": returns, "declared": declared}
        rows.append(names | rates | size)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rates in Markdown, a row for each test and interval."""
    kinds = list(dict.fromkeys(row["returns"] for row in rows))
    lines = [f"| | declared | {' | '.join(kinds)} |", "|---" * (2 + len(kinds)) + "|"]
    for what in dict.fromkeys(row["what"] for row in rows):
        own = [row for row in rows if row["what"] == what]
        cells = [f"{row['rate']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" for row in own]
        lines.append(f"| {what} | {own[0]['declared']:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/calibration.json"))
    given = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        parts = pool.map(
            partial(calibration, studies=given.studies, resamples=given.resamples), RETURNS
        )
        rows = [row for part in parts for row in part]
    given.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))
