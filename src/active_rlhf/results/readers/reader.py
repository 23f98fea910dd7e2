"""What a reader is, and what it is told."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from active_rlhf.results.comparable import ExportError

KEYS = ("env", "method", "seed", "run")
VALUES = ("step", "return", "length", "labels")


@dataclass(frozen=True)
class Head:
    """The beginning of a file, decompressed.

    `columns` are the names in the header of a text or Parquet table, `delimiter` what is between
    them, `before` the number of lines before it; `members` are the names in an npz archive.
    """

    path: Path
    start: bytes
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    members: tuple[str, ...] = ()
    before: int = 0

    @property
    def name(self) -> str:
        """The file's name without the suffix of a compression."""
        return self.path.name.removesuffix(".gz").removesuffix(".bz2").removesuffix(".xz")


@dataclass(frozen=True)
class Choices:
    """What a study says about files: `columns` name to name, and `task`, the environment's name."""

    columns: Mapping[str, str] = field(default_factory=dict)
    task: str | int | None = None
    env: str = ""


@dataclass(frozen=True)
class Reader:
    """A kind of file.

    name: as in `format:`. about: what such a file is. recognises: whether a head is of this kind.
    described: what a row is, and the columns that will be read, as `{step: ..., return: ...}`;
    raises ExportError where this is not clear. read: frames of rows, which may have the columns
    `env, method, seed, run` as text and `step, return, length, labels` as text or numbers; the
    index is the row's place in the file. joined: the rows of one run from its several files, if it
    may have several. lines: whether places are lines.
    """

    name: str
    about: str
    recognises: Callable[[Head], bool]
    described: Callable[[Head, Choices], tuple[str, dict[str, str]]]
    read: Callable[[Head, Choices], Iterator[pd.DataFrame]]
    joined: Callable[[list[pd.DataFrame]], pd.DataFrame] | None = None
    lines: bool = True


def chosen(
    path: Path,
    columns: tuple[str, ...],
    choices: Mapping[str, str],
    known: Mapping[str, tuple[str, ...]],
) -> dict[str, str]:
    """Our name -> the file's name of each column: as chosen, or else the first known one it has.

    Names are compared without regard to case. Raises ExportError for a choice that the file lacks.
    """
    there = {name.strip().lower(): name for name in reversed(columns)}
    found = {}
    for key in (*KEYS, *VALUES):
        if key in choices:
            if choices[key] not in columns:
                held = ", ".join(columns)
                raise ExportError(f"{path}: column {choices[key]} is missing (found: {held})")
            found[key] = choices[key]
        else:
            names = [there[name] for name in known.get(key, ()) if name in there]
            names = [name for name in names if name not in choices.values()]
            if names:
                found[key] = names[0]
    for key in choices:
        if key not in (*KEYS, *VALUES):
            raise ExportError(
                f"columns: unknown name {key!r}; known: {', '.join((*KEYS, *VALUES))}"
            )
    return found


def needed(path: Path, found: Mapping[str, str], columns: tuple[str, ...], *names: str) -> None:
    """Raise ExportError unless the columns were found."""
    for name in names:
        if name not in found:
            held = ", ".join(columns)
            raise ExportError(
                f"{path}: which column is the {name}? Say `columns: {{{name}: ...}}`; it has {held}"
            )
