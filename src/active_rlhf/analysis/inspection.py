"""What reward models have learned, over the runs of a study.

The data of a run, an inspection, is what `results.inspection.look` gives.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.intervals import t_interval

Inspection = Mapping[str, Any]

# Measures of how far a reward model is from what it should be: name, and what it is.
MEASURES = {
    "epic": ("EPIC distance", "to the true reward: 0 the same, 0.71 unrelated, 1 opposite"),
    "step_correlation": ("step correlation", "of predicted and true rewards of steps"),
    "within_segments": (
        "correlation within segments",
        "of both, each minus its segment's mean: whether the same steps carry the reward",
    ),
    "true_accuracy": ("agreement with true returns", "share of pairs in the same order"),
    "true_calibration": ("calibration error", "expected, against the order of true returns"),
    "teacher_accuracy": ("agreement with the teacher", "share of held-out answers"),
}
AGREEMENT = {"true": "true returns", "teacher": "the teacher, held out"}


def reliability(
    probability: np.ndarray, preference: np.ndarray, bins: int = 10
) -> dict[str, np.ndarray]:
    """A reliability curve of P(first) [n] against answers [n], without ties: for each of `bins`
    intervals of confidence from 0.5 to 1 its `count` of pairs, and their mean `confidence` and
    share of `right` answers (NaN where there are none).

    The weighted mean of |confidence - right| is the expected calibration error of
    `rewards.measures.calibration_error`.
    """
    untied = preference != 0.5
    p, first = probability[untied], preference[untied] > 0.5
    confidence, right = np.maximum(p, 1 - p), (p > 0.5) == first
    interval = np.minimum((2 * bins * (confidence - 0.5)).astype(int), bins - 1)
    count = np.bincount(interval, minlength=bins)
    with np.errstate(invalid="ignore"):
        return {
            "count": count,
            "confidence": np.bincount(interval, confidence, bins) / count,
            "right": np.bincount(interval, right, bins) / count,
        }


def pooled(curves: Iterable[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """One reliability curve of the pairs of several, whose number is `runs`."""
    every = [{k: np.asarray(v, float) for k, v in curve.items()} for curve in curves]
    count = sum(curve["count"] for curve in every)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"runs": np.array(len(every)), "count": np.asarray(count)} | {
            key: sum(np.nan_to_num(curve[key]) * curve["count"] for curve in every) / count
            for key in ("confidence", "right")
        }


def plain(data: Any) -> Any:
    """The data as JSON can hold it: lists for arrays, None for NaN."""
    if isinstance(data, np.ndarray):
        return plain(data.tolist())
    if isinstance(data, Mapping):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def values(inspection: Inspection) -> dict[str, float]:
    """MEASURES of a run; NaN for what cannot be told."""
    agreement = inspection["agreement"]
    found: dict[str, Any] = {name: inspection.get(name) for name in MEASURES}
    for short, name in AGREEMENT.items():
        for measure in ("accuracy", "calibration"):
            found[f"{short}_{measure}"] = agreement.get(name, {}).get(measure)
    return {name: float("nan") if found[name] is None else found[name] for name in MEASURES}


def by_state(inspection: Inspection) -> dict[str, float]:
    """The learned reward of each named state, with the action that needs no policy."""
    rows = inspection["states"]
    return {row["state"]: row["learned"] for row in rows if row["action"] == rows[0]["action"]}


def missing(inspections: Sequence[Inspection]) -> list[str]:
    """What their runs lack, each sentence once, in the order met."""
    return list(dict.fromkeys(said for run in inspections for said in run["missing"]))


def frame(inspections: Sequence[Inspection], methods: Mapping[str, str]) -> pd.DataFrame:
    """`env, method, seed, kind, name, value`: a row for each MEASURE (kind `measure`) and named
    state (kind `state`) of each run that could be inspected; methods: id -> name in tables."""
    rows = [
        (run["environment"], methods[run["method"]], run["seed"], kind, name, value)
        for run in inspections
        if "agreement" in run
        for kind, found in (("measure", values(run)), ("state", by_state(run)))
        for name, value in found.items()
    ]
    columns = ["env", "method", "seed", "kind", "name", "value"]
    known = pd.CategoricalDtype(list(dict.fromkeys(methods.values())), ordered=True)
    return pd.DataFrame(rows, columns=columns).astype({"method": known, "value": float})


@needs(runs="env method seed kind name value")
def summary(runs: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """`env, method, kind, name, n, mean, ci_low, ci_high`: over seeds, with a t interval."""
    keys, rows = ["env", "method", "kind", "name"], []
    for key, group in runs.groupby(keys, sort=False, observed=True):
        known = group["value"].dropna().to_numpy()
        mean = known.mean() if len(known) else math.nan
        rows.append((*key, len(known), mean, *t_interval(known, 1 - alpha)))
    table = pd.DataFrame(rows, columns=[*keys, "n", "mean", "ci_low", "ci_high"])
    return table.astype({"method": runs["method"].dtype})


def mean_maps(
    inspections: Sequence[Inspection], methods: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """The map of each method, the mean over its runs, with their number as `n`."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for run in inspections:
        if run.get("map"):
            found.setdefault(methods[run["method"]], []).append(run["map"])
    return {
        name: dict(maps[0])
        | {"n": len(maps), "learned": np.mean([np.array(m["learned"], float) for m in maps], 0)}
        for name in methods.values()
        if (maps := found.get(name))
    }


def reliability_curves(
    inspections: Sequence[Inspection], methods: Mapping[str, str]
) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """By kind of pair and method, the reliability curve of all runs' pairs together."""
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for kind in AGREEMENT.values():
        for method, name in methods.items():
            curves = [
                run["agreement"][kind]["reliability"]
                for run in inspections
                if run["method"] == method and kind in run.get("agreement", {})
            ]
            if curves:
                found.setdefault(kind, {})[name] = pooled(curves)
    return found
