"""TensorBoard's event files: scalars by tag, as of CleanRL, Stable-Baselines3 and imitation.

A row is a value of the tag at its step. A record that was cut short, as by a kill, ends the file;
a damaged one is refused.
"""

import struct
from collections.abc import Iterator
from typing import IO

import pandas as pd

from active_rlhf.results.comparable import ExportError
from active_rlhf.results.readers.files import opened, reading
from active_rlhf.results.readers.reader import Choices, Head, Reader

# The kinds of rows, by tag, in the order in which they are looked for.
TAGS = {
    "charts/episodic_return": "episodes",
    "charts/episode_return": "episodes",
    "rollout/ep_rew_mean": "means",
    "mean/gen/rollout/ep_rew_mean": "means",
    "raw/gen/rollout/ep_rew_mean": "means",
    "train/true_episode_reward": "episodes",
    "train/episode_reward": "episodes",
    "eval/mean_reward": "evaluations",
    "eval/true_episode_reward": "evaluations",
    "eval/episode_reward": "evaluations",
}


def _scalars(head: Head) -> Iterator[tuple[str, int, float]]:
    """Tag, step and value of every scalar in a file."""
    from tensorboard import data_compat
    from tensorboard.compat.proto import event_pb2
    from tensorboard.util import tensor_util

    with reading(head.path, "TensorBoard's events"), opened(head.path) as file:
        for record in _records(head, file):
            event = data_compat.migrate_event(event_pb2.Event.FromString(record))
            for value in event.summary.value if event.HasField("summary") else ():
                plugin = value.metadata.plugin_data.plugin_name
                if value.HasField("tensor") and plugin in ("", "scalars"):
                    array = tensor_util.make_ndarray(value.tensor)
                    if array.size == 1 and array.dtype.kind in "fiu":
                        yield value.tag, event.step, float(array.reshape(()))


def _records(head: Head, file: IO[bytes]) -> Iterator[bytes]:
    """The records of a file (length, checksum, data, checksum), up to one that is cut short."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    number = 0
    while len(start := file.read(12)) == 12:
        number += 1
        size, check = struct.unpack("<QI", start)
        if masked_crc32c(start[:8]) != check:
            raise ExportError(f"{head.path}: record {number} is damaged (its checksum differs)")
        record = file.read(size)
        end = file.read(4)
        if len(record) < size or len(end) < 4:
            return
        if masked_crc32c(record) != struct.unpack("<I", end)[0]:
            raise ExportError(f"{head.path}: record {number} is damaged (its checksum differs)")
        yield record


def _described(head: Head, choices: Choices) -> tuple[str, dict[str, str]]:
    wanted = choices.columns.get("return")
    seen: dict[str, None] = {}
    for tag, _, _ in _scalars(head):
        seen[tag] = None
        if tag in (wanted, next(iter(TAGS))):
            break
    tag = wanted or next((known for known in TAGS if known in seen), "")
    if tag not in seen:
        said = f"no tag {tag}" if tag else "which tag is the return?"
        raise ExportError(
            f"{head.path}: {said} Say `columns: {{return: ...}}`; it has "
            f"{', '.join(seen) or 'none'}"
        )
    named = TAGS.get(tag, "means" if "mean" in tag else "episodes")
    return named, {"return": tag}


def _read(head: Head, choices: Choices) -> Iterator[pd.DataFrame]:
    _, found = _described(head, choices)
    rows = [(step, value) for tag, step, value in _scalars(head) if tag == found["return"]]
    place = pd.RangeIndex(1, len(rows) + 1)
    frame = pd.DataFrame(rows, place, columns=["step", "return"])
    yield frame.assign(run=head.path.parent.name)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Files of one run follow each other, as a run that was started again writes another."""
    return pd.concat(frames).sort_values("step", kind="stable")


def _recognises(head: Head) -> bool:
    return "tfevents" in head.path.name or b"brain.Event:" in head.start[:64]


READER = Reader(
    "tensorboard",
    "TensorBoard's event files",
    _recognises,
    _described,
    _read,
    _joined,
    lines=False,
)
