"""A table with a row for each episode, evaluation or run: CSV or Parquet, columns of any names."""

from collections.abc import Iterator

import pandas as pd

from active_rlhf.results.comparable import ExportError
from active_rlhf.results.readers.files import renamed, tables
from active_rlhf.results.readers.reader import VALUES, Choices, Head, Reader, chosen, needed

KNOWN = {
    "env": ("env", "environment", "env_id", "env_name", "task", "game"),
    "method": ("method", "algorithm", "algo", "agent"),
    "seed": ("seed",),
    "run": ("run", "run_name", "run_id", "exp_name"),
    "step": (
        *("step", "steps", "global_step", "env_step", "env_steps", "timestep", "timesteps"),
        *("total_timesteps", "total_steps", "frame", "frames", "_step"),
    ),
    "return": (
        *("return", "episodic_return", "episode_return", "charts/episodic_return", "ep_return"),
        *("true_episode_reward", "episode_reward", "ep_rew_mean", "rollout/ep_rew_mean", "score"),
        *("reward", "returns", "rewards", "mean_reward"),
    ),
    "length": ("length", "episode_length", "ep_length", "charts/episodic_length"),
    "labels": ("labels", "queries", "feedback", "total_feedback"),
}


def _found(head: Head, choices: Choices) -> dict[str, str]:
    found = chosen(head.path, head.columns, choices.columns, KNOWN)
    needed(head.path, found, head.columns, "return")
    if "return" not in choices.columns:
        there = [name for name in head.columns if name.strip().lower() in KNOWN["return"]]
        there = [name for name in there if name not in choices.columns.values()]
        if len(there) > 1:
            raise ExportError(
                f"{head.path}: {' and '.join(there)} may both be the return; say "
                f"`columns: {{return: {there[0]}}}`"
            )
    return found


def _described(head: Head, choices: Choices) -> tuple[str, dict[str, str]]:
    found = _found(head, choices)
    return "episodes" if "step" in found else "scores", found


def _recognises(head: Head) -> bool:
    names = {name.strip().lower() for name in head.columns}
    return bool(names & set(KNOWN["return"])) and len(head.columns) > 1


def _read(head: Head, choices: Choices) -> Iterator[pd.DataFrame]:
    found = _found(head, choices)
    for frame in tables(head, list(dict.fromkeys(found.values()))):
        frame = renamed(frame, found)
        if head.delimiter == ";":  # where a comma is the decimal point
            for name in frame.columns.intersection(list(VALUES)):
                if not pd.api.types.is_numeric_dtype(frame[name]):
                    text = frame[name].astype("str")
                    frame[name] = text.str.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)
        yield frame


READER = Reader(
    "long", "a table with columns of any names, CSV or Parquet", _recognises, _described, _read
)
