"""Stable-Baselines3's `monitor.csv`: a line of JSON, then `r, l, t` of each episode.

Environments in parallel write a file each. As in the library's own `load_results`, episodes of all
are in the order of the time at which they ended, and the step at an episode's end is the sum of the
lengths up to there.
"""

import json
from collections.abc import Iterator

import pandas as pd

from active_rlhf.results.comparable import ExportError
from active_rlhf.results.readers.files import reading, renamed, tables
from active_rlhf.results.readers.reader import Choices, Head, Reader

COLUMNS = {"return": "r", "length": "l", "time": "t"}


def _read(head: Head, choices: Choices) -> Iterator[pd.DataFrame]:
    with reading(head.path, "a monitor's file"):
        about = json.loads(head.start.partition(b"\n")[0].lstrip(b"#"))
        begin = float(about["t_start"])
        env = about.get("env_id") if about.get("env_id") != "None" else None
    if not set(COLUMNS.values()) <= set(head.columns):
        raise ExportError(f"{head.path}: columns r, l and t are missing after the first line")
    for frame in tables(head, list(COLUMNS.values())):
        frame = renamed(frame, COLUMNS)
        for name in ("length", "time"):
            frame[name] = pd.to_numeric(frame[name], errors="coerce")
        bad = frame.isna().any(axis=1)
        if bad.any():
            place = frame.index[int(bad.to_numpy().argmax())]
            raise ExportError(f"{head.path}: r, l or t is missing or not a number in line {place}")
        yield frame.assign(time=frame["time"] + begin, **({"env": str(env)} if env else {}))


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    rows = pd.concat(frames).sort_values("time", kind="stable")
    return rows.assign(step=rows["length"].cumsum()).drop(columns="time")


READER = Reader(
    "monitor",
    "Stable-Baselines3's `monitor.csv`",
    lambda head: head.start.startswith(b"#{") and b"t_start" in head.start.partition(b"\n")[0],
    lambda head, choices: ("episodes", {}),
    _read,
    _joined,
)
