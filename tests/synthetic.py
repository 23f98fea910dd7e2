"""Synthetic studies in the shape of real ones, for the tests of figures, tables and findings."""

import functools
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.endpoints import endpoints
from active_rlhf.analysis.inspection import reliability
from active_rlhf.analysis.limits import limits
from active_rlhf.analysis.study import statistics
from active_rlhf.analysis.wording import Terms

NASTY = [r"50%_a & b#1 $x$ ~^\{}", "β-VAE <|> “ü” 日本", "plain"]
# What `statistics_of_exports` is told of a study, besides its methods and files.
EXPORTED: dict[str, Any] = {
    **{"exclude": [], "evaluations": {}, "baselines": {}, "references": []},
    "statistics": {"endpoint": "final", "further": [], "family": "environment"}
    | {"alpha": 0.05, "rope": 0.05, "bootstrap": 100},
}
STAGES = "environment policy_update reward_model prediction candidates vae score pick teacher"


def names(count: int) -> list[str]:
    """Method names, one of them long."""
    return ["Random", "VARIQuery", "DUO", "Hybrid", "a_method_with_a_really_very_long_name"][
        :count
    ] + [f"Method {i}" for i in range(6, count + 1)]


def runs(methods: list[str], envs: list[str], n: int, effect: float = 0.0) -> pd.DataFrame:
    """`env, method, seed, step, return, labels`: 30 episodes a run; later methods end higher."""
    rng = np.random.default_rng(1)
    steps = np.arange(1, 31) * 1000
    frames = []
    for e, env in enumerate(envs):
        for m, method in enumerate(methods):
            for seed in range(n):
                level = 10.0 ** (1 + e % 4) * (2 + effect * m + 0.3 * rng.normal())
                curve = level * (1 - np.exp(-steps / 8000)) + 0.05 * level * rng.normal(size=30)
                keys = {"env": env, "method": method, "seed": seed, "step": steps}
                frames.append(pd.DataFrame(keys | {"return": curve, "labels": steps // 200}))
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(method=pd.Categorical(frame["method"], methods, ordered=True))


def study(
    methods: list[str],
    envs: list[str],
    n: int,
    effect: float = 0.0,
    measured: bool = False,
    every_pair: bool = True,
    **terms: object,
) -> tuple[dict[str, pd.DataFrame], Terms]:
    """All statistics of such runs, and the terms of their captions; `measured`: of rewards too.

    every_pair: not only those with the first method, but for returns in the first environment.
    """
    given = tuple(methods), tuple(envs), n, effect, measured
    frames = computed(*given, None if every_pair else methods[0])
    if not every_pair:
        one = computed(given[0], given[1][:1], n, effect)
        rest = f"env != {envs[0]!r} or metric_type not in ['endpoint', 'auc']"
        pairs = [one["comparisons"], frames["comparisons"].query(rest)]
        frames = frames | {"comparisons": pd.concat(pairs, ignore_index=True)}
    terms = {"asked": {env: ("oracle", 500) for env in envs}} | terms
    copies = {name: frame.copy() for name, frame in frames.items()}
    return copies, Terms(methods=tuple(methods), **terms)  # type: ignore[arg-type]


@functools.cache
def computed(
    methods: tuple[str, ...],
    envs: tuple[str, ...],
    n: int,
    effect: float,
    measured: bool = False,
    against: str | None = None,
) -> dict[str, pd.DataFrame]:
    frame = runs([*methods], [*envs], n, effect)
    baselines = {env: (0.0, 10.0 ** (1 + e % 4) * 3) for e, env in enumerate(envs)}
    seen = sessions([*methods], [*envs], n) if measured else None
    options = {"baselines": baselines, "sessions": seen, "against": against}
    frames = statistics(frame, resamples=200, **options)  # type: ignore[arg-type]
    if measured:
        ends = endpoints(runs(["low", "true"], [*envs], n, 0.1))
        frames["limits"] = limits(frames["quality"], ends, "low", "true", resamples=200)
    return frames


def sessions(methods: list[str], envs: list[str], n: int) -> pd.DataFrame:
    """Sessions exports as `export.read_records` gives them; the first has no held-out accuracy."""
    rng = np.random.default_rng(2)
    frames = []
    for env in envs:
        for method in methods:
            for seed in range(n):
                accuracy = {
                    f"{name}_accuracy": 0.9 - 0.4 * np.exp(-np.arange(10) / 3) + rng.normal(0, 0.02)
                    for name in ("train", "validation", "probe")
                }
                accuracy["validation_accuracy"][0] = np.nan
                good = accuracy["probe_accuracy"]
                accuracy |= {"probe_loss": 1 - good, "probe_calibration": (1 - good) / 3}
                accuracy["probe_correlation"] = good**2
                keys = {"env": env, "method": method, "seed": seed, "session": np.arange(10)}
                keys |= {"step": np.arange(1, 11) * 2500}
                frames.append(pd.DataFrame(keys | {"labels": np.arange(10) * 50 + 10} | accuracy))
    return pd.concat(frames, ignore_index=True)


def inspections(methods: list[str], env: str, n: int) -> list[dict[str, Any]]:
    """What `results.inspection.inspect_run` finds of made-up runs."""
    rng, axis = np.random.default_rng(3), np.linspace(-1, 1, 12)
    true = np.add.outer(-(axis**2), axis)
    found = []
    for method in methods:
        for seed in range(n):
            p = rng.random(100)
            curve = reliability(p, (rng.random(100) < p).astype(float))
            agreement = {"accuracy": 0.8, "calibration": 0.1, "reliability": curve}
            shown = {"x": axis, "y": 100 * axis, "axes": ["height", "forward speed"]}
            shown |= {"learned": true + rng.normal(0, 0.3, true.shape), "true": true}
            kinds = dict.fromkeys(("true returns", "the teacher, held out"), agreement)
            found.append(
                {"environment": env, "method": method, "seed": seed, "agreement": kinds}
                | {"map": shown | {"kind": "means", "action": "no force"}, "missing": []}
            )
    return found


def overhead(methods: list[str], envs: list[str], n: int, hosts: int = 1) -> pd.DataFrame:
    """Rows of overhead.csv: method i takes 100 (i + 1) seconds, on host i modulo `hosts`."""
    rows = []
    for env in envs:
        for i, method in enumerate(methods):
            for seed in range(n):
                wall = 100.0 * (i + 1) + seed
                shares = np.linspace(1, 3, len(STAGES.split()))
                rows.append(
                    {"env": env, "method": method, "seed": seed}
                    | {"wall_s": wall, "cpu_s": 0.9 * wall, "gpu_s": 0.0}
                    | {"peak_rss_mb": 400.0 + i, "host": f"node-{i % hosts}"}
                    | {
                        f"{stage}_s": float(0.95 * wall * share / shares.sum())
                        for stage, share in zip(STAGES.split(), shares, strict=True)
                    }
                )
    return pd.DataFrame(rows)
