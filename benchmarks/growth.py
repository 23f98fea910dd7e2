"""How a study's cost grows: CPU seconds against one factor at a time, with a fitted exponent.

    python benchmarks/growth.py [--out benchmarks/growth.json]

The values of a factor are measured in turns, and the exponent is the slope of log seconds against
log factor. Stages that do not depend on the factor are left out: labels and ensemble size are
compared with the seconds of reward training, pool size with those of selecting.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits
from training import thesis_run

from active_rlhf.run.training import train
from active_rlhf.study.settings import Spec

ENVIRONMENT = "HalfCheetah-v5"
REPEATS = 3
SHORT: dict[str, Any] = {"total_steps": 20_480, "evaluation": {"every": 20_480}}


def seconds_by_stage(spec: Spec) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        train(spec, folder)
        return json.loads((Path(folder) / "run.json").read_text())["seconds"]


def steps(value: int) -> Spec:
    return thesis_run(ENVIRONMENT, "true_reward", total_steps=value)


def labels(value: int) -> Spec:
    """Ten labels per session, as in the thesis: more labels mean more sessions on more labels."""
    changes = {"total": value, "initial": 10, "sessions": value // 10, "probe_pairs": 2}
    return thesis_run(ENVIRONMENT, "random", total_steps=2048 * (value // 10), labels=changes)


def pool(value: int) -> Spec:
    changes = {"total": 50, "initial": 10, "sessions": 5, "oversampling": value // 10}
    return thesis_run(ENVIRONMENT, "hybrid", **SHORT, labels=changes)


def members(value: int) -> Spec:
    changes = {"total": 200, "initial": 40, "sessions": 5, "probe_pairs": 2}
    return thesis_run(
        ENVIRONMENT, "random", **SHORT, labels=changes, reward_model={"members": value}
    )


SERIES: dict[str, tuple[Callable[[int], Spec], Sequence[int], Sequence[str]]] = {
    "steps": (steps, (20_480, 40_960, 81_920, 163_840), ("environment", "policy_update")),
    "labels": (labels, (50, 100, 200, 400), ("reward_model",)),
    "pool size": (pool, (100, 200, 400, 800), ("score", "pick")),
    "ensemble size": (members, (1, 2, 4, 8), ("reward_model",)),
}


def exponent(factors: Sequence[float], seconds: Sequence[float]) -> dict[str, float]:
    """Slope of log seconds against log factor, and half the width of its 95% interval."""
    fit = stats.linregress(np.log(factors), np.log(seconds))
    half = stats.t.ppf(0.975, len(factors) - 2) * fit.stderr
    return {"exponent": float(fit.slope), "half_width": float(half)}


def series(name: str) -> Spec:
    spec, factors, stages = SERIES[name]
    rows = []
    for _ in range(REPEATS):
        spent = [seconds_by_stage(spec(factor)) for factor in factors]
        rows.append([sum(seconds[stage] for stage in stages) for seconds in spent])
    seconds = [median(column) for column in zip(*rows, strict=True)]
    fitted = exponent(factors, seconds)
    return {"factor": name, "stages": stages, "values": factors, "seconds": seconds, **fitted}


def runs(dag: list[dict[str, float]]) -> Spec:
    """The same for the study's graph, from the measurements of it in `results.json`."""
    factors = [row["runs"] for row in dag]
    seconds = [row["noop_cpu_s"] for row in dag]
    fitted = exponent(factors, seconds)
    return {"factor": "runs", "stages": ["noop"], "values": factors, "seconds": seconds, **fitted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("--results", type=Path, default=here / "results.json")
    parser.add_argument("--out", type=Path, default=here / "growth.json")
    args = parser.parse_args()
    with threadpool_limits(1):
        rows = [series(name) for name in SERIES]
    rows.append(runs(json.loads(args.results.read_text())["dag"]))
    args.out.write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        print(f"{row['factor']:<14} seconds ~ factor^{row['exponent']:.2f}")


if __name__ == "__main__":
    main()
