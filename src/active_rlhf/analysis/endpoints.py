"""One number for each run: the endpoints that are compared.

All but `evaluation` are functions of a run's episode returns [k] and the global steps [k] at which
the episodes ended, both in time order.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.frames import EVALUATIONS, RUNS, FrameError, needs, require, with_numbers
from active_rlhf.errors import InputError
from active_rlhf.results.export import ExportError
from active_rlhf.study.measures import EVALUATION, FEWEST, beside

WINDOW = 10  # episodes in `final`, in the running mean of curves, and the span of `ema`

Endpoint = Callable[[np.ndarray, np.ndarray], float]


def final(returns: np.ndarray, steps: np.ndarray) -> float:
    """Mean return of the last 10 episodes (of all, if there are fewer)."""
    return float(np.mean(returns[-WINDOW:]))


def last(returns: np.ndarray, steps: np.ndarray) -> float:
    """Return of the last episode."""
    return float(returns[-1])


def ema(returns: np.ndarray, steps: np.ndarray) -> float:
    """Exponential moving average over episodes, at the end: m_1 = r_1, then m += 2/11 (r - m)."""
    return float(pd.Series(returns).ewm(span=WINDOW, adjust=False).mean().iloc[-1])


def best(returns: np.ndarray, steps: np.ndarray) -> float:
    """Largest return of any episode."""
    return float(np.max(returns))


def last_steps(returns: np.ndarray, steps: np.ndarray, window: int | None = None) -> float:
    """Mean return of the episodes that ended in the last tenth, or `window`, of the run's steps."""
    begin = 0.9 * steps[-1] if window is None else steps[-1] - window
    return float(np.mean(returns[(steps > begin) | (steps == steps[-1])]))


ENDPOINTS: dict[str, Endpoint] = {
    function.__name__: function for function in (final, last, ema, best, last_steps)
}


def auc(returns: np.ndarray, steps: np.ndarray, low: float, high: float) -> float:
    """Area under the return curve by trapezoids, with steps low..high scaled to [0, 1].

    This is a mean return over training, in units of return. The curve is cut (with linear
    interpolation) at `low` and `high`; beyond the run's steps it goes on level. If they coincide,
    the result is the curve's value there. Episodes that end at the same step, in environments that
    run in parallel, count as their mean.
    """
    returns, steps = at_steps(returns, steps)
    inside = (steps > low) & (steps < high)
    x = np.concatenate([[low], steps[inside], [high]])
    ends = np.interp([low, high], steps, returns)
    y = np.concatenate([ends[:1], returns[inside], ends[1:]])
    return float(np.trapezoid(y, (x - low) / (high - low))) if high > low else float(y[0])


def at_steps(returns: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean return at each step that occurs, and these steps."""
    starts = np.flatnonzero(np.diff(steps, prepend=-1))
    if len(starts) == len(steps):
        return returns, steps
    return np.add.reduceat(returns, starts) / np.diff(starts, append=len(steps)), steps[starts]


def common_range(runs: pd.DataFrame) -> tuple[float, float]:
    """The steps that all of these runs cover: latest first step, earliest last step.

    Raises ExportError if there are none.
    """
    ends = runs.groupby(["env", "method", "seed"], observed=True)["step"].agg(["first", "last"])
    low, high = float(ends["first"].max()), float(ends["last"].min())
    if high < low:
        run = ", ".join(map(str, ends.index[int(ends["first"].argmax())]))
        raise ExportError(f"{run}: begins after another run ends, so the runs have no common steps")
    return low, high


@needs(runs=RUNS)
def endpoints(
    runs: pd.DataFrame,
    endpoint: str = "final",
    further: Sequence[str] = (),
    evaluations: pd.DataFrame | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    window: int | None = None,
) -> pd.DataFrame:
    """Endpoints of all runs: `env, method, seed, metric_type, value`.

    `metric_type` is `endpoint` for the study's main endpoint, `auc` for the area over the steps
    common to the environment's runs (there is none where each run has but one row), and the
    endpoint's own name for those `beside` it and for `further` ones. evaluations: `env, method,
    seed, step, return_mean, episodes`, at least those of these runs; there is no `evaluation`
    without it. ranges: environment -> the steps of the area, by default those common to these runs.
    window: the steps of `last_steps`, by default a tenth.
    """
    evaluated = evaluations is not None
    for name in (endpoint, *further):
        if name == EVALUATION and not evaluated:
            raise InputError("the endpoint `evaluation` needs the runs' evaluations")
        if name not in (*ENDPOINTS, EVALUATION):
            raise InputError(
                f"unknown endpoint {name!r}; known: {', '.join((*ENDPOINTS, EVALUATION))}"
            )
    names = {"endpoint": endpoint} | {n: n for n in [*beside(endpoint, evaluated), *further]}
    judged = last_evaluations(runs, evaluations) if evaluations is not None else {}
    rows = []
    for env, group in runs.groupby("env", sort=False):
        low, high = (ranges or {}).get(str(env)) or common_range(group)
        curved = group.duplicated(["method", "seed"]).any()
        for (method, seed), run in group.groupby(["method", "seed"], sort=False, observed=True):
            returns, steps = run["return"].to_numpy(), run["step"].to_numpy()
            values = {
                metric_type: judged[env, method, seed]
                if name == EVALUATION
                else last_steps(returns, steps, window)
                if name == "last_steps"
                else ENDPOINTS[name](returns, steps)
                for metric_type, name in names.items()
            }
            if curved:
                values["auc"] = auc(returns, steps, low, high)
            rows += [(env, method, seed, name, value) for name, value in values.items()]
    frame = pd.DataFrame(rows, columns=["env", "method", "seed", "metric_type", "value"])
    frame["method"] = frame["method"].astype(runs["method"].dtype)
    kinds = list(dict.fromkeys(["endpoint", "auc", *names]))
    order = pd.Categorical(frame["metric_type"], kinds, ordered=True)
    frame = frame.assign(order=order).sort_values("order", kind="stable").drop(columns="order")
    return frame.reset_index(drop=True)


def last_evaluations(runs: pd.DataFrame, evaluations: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    """Mean return of each run's last evaluation, by environment, method and seed.

    Raises FrameError naming the run whose last evaluation is missing, came before its last episode,
    is not finite or has fewer than 10 episodes, or the column that is missing or holds no numbers.
    """
    require(evaluations, EVALUATIONS, "evaluations")
    evaluations = with_numbers(evaluations, EVALUATIONS, "evaluations")
    keys = ["env", "method", "seed"]
    found = {tuple(row[:3]): row[3:] for row in evaluations[EVALUATIONS.split()].to_numpy(object)}
    judged = {}
    for (env, method, seed), own in runs.groupby(keys, sort=False, observed=True):
        end = own["step"].iloc[-1]
        run = f"evaluations: env {env}, method {method}, seed {seed}"
        if (env, method, seed) not in found:
            raise FrameError(f"{run}: there is none")
        step, value, episodes = found[env, method, seed]
        if step < end:
            raise FrameError(f"{run}: the last is at step {step:g}, before the run's end at {end}")
        if not np.isfinite(value):
            raise FrameError(f"{run}: return_mean {value} is not a finite number")
        if episodes < FEWEST:
            raise FrameError(f"{run}: the last has {episodes:g} episodes, fewer than {FEWEST}")
        judged[env, method, seed] = float(value)
    return judged


def methods_of(frame: pd.DataFrame) -> list[str]:
    """The methods that occur, in the order of the Categorical, or else of appearance."""
    present = frame["method"].unique()
    if isinstance(frame["method"].dtype, pd.CategoricalDtype):
        return [method for method in frame["method"].cat.categories if method in present]
    return list(present)


def by_seed(values: pd.DataFrame) -> pd.DataFrame:
    """The `value`s of one environment and endpoint, seeds x methods; NaN where there is no run."""
    wide = values.astype({"method": "str"}).pivot(index="seed", columns="method", values="value")
    return wide[methods_of(values)]
