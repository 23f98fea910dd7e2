"""`train.csv` and `eval.csv` of B-Pref and what descends from it (PEBBLE, SURF, RUNE).

`episode_reward` of a run that learns its reward is the learned one, so `true_episode_reward` is the
return where there is one.
"""

from collections.abc import Iterator

import pandas as pd

from active_rlhf.results.readers.files import renamed, tables
from active_rlhf.results.readers.reader import Choices, Head, Reader, chosen, needed

KNOWN = {
    "step": ("step",),
    "return": ("true_episode_reward", "episode_reward"),
    "labels": ("total_feedback",),
}


def _described(head: Head, choices: Choices) -> tuple[str, dict[str, str]]:
    found = chosen(head.path, head.columns, choices.columns, KNOWN)
    needed(head.path, found, head.columns, "step", "return")
    return "evaluations" if head.name.startswith("eval") else "episodes", found


def _read(head: Head, choices: Choices) -> Iterator[pd.DataFrame]:
    _, found = _described(head, choices)
    for frame in tables(head, list(found.values())):
        yield renamed(frame, found)


READER = Reader(
    "bpref",
    "`train.csv` and `eval.csv` of B-Pref",
    lambda head: (
        {"episode", "episode_reward", "step"} <= set(head.columns) and "method" not in head.columns
    ),
    _described,
    _read,
)
