"""Training as it went on: returns, what they were worth to the reward model, and its labels."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from active_rlhf.analysis.curves import POINTS, band, running_mean
from active_rlhf.analysis.endpoints import WINDOW
from active_rlhf.analysis.frames import needs
from active_rlhf.analysis.variants import excluded_within
from active_rlhf.results.export import METRIC, Exclusions, read_records

EPISODES = {METRIC: "return", "global_step": "step"}
# What is shown over steps, and where it is from.
QUANTITIES = {
    "return": "true return",
    "learned_return": "learned return",
    "agreement": "agreement with the teacher",
    "labels": "labels",
}


def read_episodes(
    exports: Mapping[str, str], asking: Mapping[str, str], exclude: Exclusions
) -> pd.DataFrame:
    """The episodes of all runs that ask: `env, method, seed, step, return, learned_return`.

    Arguments as of `labels.read_sessions`. Learned returns are NaN where there are none: of runs of
    earlier versions, and before the policy learned from learned rewards. Raises ExportError.
    """
    excluded = excluded_within(exclude, asking)
    frame = read_records(exports, asking, excluded, tuple(reversed(EPISODES)), ("learned_return",))
    return frame.rename(columns=EPISODES)


@needs(
    episodes="env method seed step return learned_return",
    sessions="env method seed step labels train_accuracy validation_accuracy",
)
def progress(
    episodes: pd.DataFrame,
    sessions: pd.DataFrame,
    alpha: float = 0.05,
    resamples: int = 10_000,
) -> pd.DataFrame:
    """`env, method, quantity, step, n, mean, sd, ci_low, ci_high`, as `curves.curves`.

    At POINTS steps: returns are running means of WINDOW episodes, interpolated, where all runs have
    some; agreement (of the model and held-out answers or, where none are held out, those it learned
    from) and labels are those of the latest session. Labels are 0 before the first.
    """
    parts = []
    for env, of_env in episodes.groupby("env", sort=False):
        steps = np.linspace(0, of_env["step"].max(), POINTS)
        own = sessions[sessions["env"] == env]
        held_out = own["validation_accuracy"].notna().any()
        own = own.assign(
            agreement=own["validation_accuracy" if held_out else "train_accuracy"]
        ).sort_values("step", kind="stable")
        for method, runs in of_env.groupby("method", sort=False, observed=True):
            asked = own[own["method"] == method]
            found = {
                "return": [_smoothed(run, "return", steps) for run in _by_seed(runs)],
                "learned_return": [_smoothed(r, "learned_return", steps) for r in _by_seed(runs)],
                "agreement": [_latest(run, "agreement", steps, np.nan) for run in _by_seed(asked)],
                "labels": [_latest(run, "labels", steps, 0.0) for run in _by_seed(asked)],
            }
            for quantity, values in found.items():
                table = np.array(values)
                known = np.isfinite(table).all(0) if len(table) else np.zeros(POINTS, bool)
                if known.any():
                    keys = {"env": env, "method": method, "quantity": quantity}
                    keys |= {"step": steps[known]}
                    parts.append(pd.DataFrame(keys | band(table[:, known], alpha, resamples)))
    columns = ["env", "method", "quantity", "step", "n", "mean", "sd", "ci_low", "ci_high"]
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return whole[columns].astype({"method": episodes["method"].dtype})


def _by_seed(runs: pd.DataFrame) -> list[pd.DataFrame]:
    return [run for _, run in runs.groupby("seed", sort=False)]


def _smoothed(run: pd.DataFrame, column: str, steps: np.ndarray) -> np.ndarray:
    """Running means of a run's episodes at these steps; NaN outside of its own."""
    run = run.dropna(subset=column)
    if run.empty:
        return np.full(len(steps), np.nan)
    means = running_mean(run[column].to_numpy(float), WINDOW)
    return np.interp(steps, run["step"].to_numpy(float), means, left=np.nan, right=np.nan)


def _latest(run: pd.DataFrame, column: str, steps: np.ndarray, before: float) -> np.ndarray:
    """The value of a run's latest session at these steps."""
    at = np.searchsorted(run["step"].to_numpy(float), steps, "right")
    return np.array([before, *run[column].to_numpy(float)])[at]
