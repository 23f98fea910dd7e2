"""Stable-Baselines3's `progress.csv`: what its logger wrote, now and then.

The return is a mean over the last 100 episodes (`rollout/ep_rew_mean`) or, where there is none, of
evaluations (`eval/mean_reward`). Lines about something else have no return, and are no rows.
"""

from collections.abc import Iterator

import pandas as pd

from active_rlhf.results.readers.files import renamed, tables
from active_rlhf.results.readers.reader import Choices, Head, Reader, chosen, needed

KNOWN = {
    "step": ("time/total_timesteps", "total_timesteps"),
    "return": ("rollout/ep_rew_mean", "eval/mean_reward", "mean/gen/rollout/ep_rew_mean"),
}


def _described(head: Head, choices: Choices) -> tuple[str, dict[str, str]]:
    found = chosen(head.path, head.columns, choices.columns, KNOWN)
    needed(head.path, found, head.columns, "step", "return")
    return "evaluations" if "eval" in found["return"] else "means", found


def _read(head: Head, choices: Choices) -> Iterator[pd.DataFrame]:
    _, found = _described(head, choices)
    for frame in tables(head, list(found.values())):
        yield renamed(frame, found).dropna(subset="return")


READER = Reader(
    "progress",
    "Stable-Baselines3's `progress.csv`",
    lambda head: "time/total_timesteps" in head.columns,
    _described,
    _read,
)
