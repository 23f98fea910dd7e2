"""What is on disk about a sweep: a file for each stage, with its trials and the results before it.

`sweep/<selector>/<stage>.json` holds the trials of a stage, as they are to be run, and the results
of the stage before. So the files of a selector, one after the other, are its whole sweep.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from active_rlhf.errors import InputError, line
from active_rlhf.files import atomic
from active_rlhf.study.sweep import Stage


@dataclass(frozen=True)
class Trial:
    """A choice of values for a selector, and the runs that show what it is worth."""

    number: int
    """Within its selector, from 0."""
    folder: str
    """Of its runs in this stage."""
    values: Mapping[str, Any]
    """By dotted keys of settings; what is not given is the study's own."""
    specs: Mapping[str, Mapping[str, Any]]
    """By environment, without the seed."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What the sampler keeps with it."""


@dataclass(frozen=True)
class Result:
    """What a trial came to in a stage."""

    trial: int
    value: float
    """The objective: the mean or interquartile mean of `scores`."""
    runs: Sequence[tuple[str, int, float, float]]
    """Environment, seed, return and score of each run: the score is the return, normalised if
    there are several environments."""


@dataclass(frozen=True)
class StageFile:
    """The trials of a stage, and the results of the one before."""

    stage: str
    code: str
    """Fingerprint of the code that trains."""
    trials: Sequence[Trial]
    results: Sequence[Result] = ()
    refused: Sequence[Mapping[str, Any]] = ()
    """Values that were suggested and cannot work together: `values`, `why`."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What the sampler keeps with the whole sweep."""


History = Sequence[tuple[Stage, StageFile, Sequence[Result]]]
"""Stages in order, each with its file and its results."""


def write_stage(content: StageFile, path: str | Path) -> None:
    """Write a stage's file, whole or not at all; equal stages have equal bytes."""
    text = json.dumps(asdict(content), indent=1, sort_keys=True)
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_stage(path: str | Path) -> StageFile:
    """Read it back. Raises FileNotFoundError; InputError, naming it, if it is damaged."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        results = [
            Result(one["trial"], one["value"], [tuple(run) for run in one["runs"]])
            for one in found.pop("results")
        ]
        trials = [Trial(**trial) for trial in found.pop("trials")]
        return StageFile(trials=trials, results=results, **found)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: is not the file of a stage ({line(error)}); delete it, and it is made again"
        ) from None
