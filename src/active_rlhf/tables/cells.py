"""A table as data: rows of cells of plain Unicode text, which each format escapes by itself."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from active_rlhf.analysis.wording import interval, number


@dataclass(frozen=True)
class Cell:
    text: str
    bold: bool = False


@dataclass(frozen=True)
class Table:
    """The first `left` columns hold text and are aligned left."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    left: int = 1


def of_scope(table: Table, variant: str) -> Table:
    """The table under a name of its own among those of other variants."""
    return replace(table, name=f"{table.name} {variant}") if variant else table


Column = tuple[str, list[Cell]]


def table(
    name: str, caption: str, columns: list[Column], notes: Iterable[str], left: int = 1
) -> Table:
    heads, cells = zip(*columns, strict=True)
    notes = tuple(note for note in notes if note)
    return Table(name, caption, heads, tuple(zip(*cells, strict=True)), notes, left)


def plain(texts: Iterable[str]) -> list[Cell]:
    return [Cell(str(text)) for text in texts]


def emphasised(texts: Iterable[str], bold: Iterable[bool]) -> list[Cell]:
    return [Cell(text, bool(mark)) for text, mark in zip(texts, bold, strict=True)]


def numbers(values: Iterable[float], places: int) -> list[Cell]:
    return plain(number(value, places) for value in values)


def intervals(lows: Iterable[float], highs: Iterable[float], places: int) -> list[Cell]:
    return plain(interval(*ends, places) for ends in zip(lows, highs, strict=True))


def mean_sd(rows: pd.DataFrame, places: int) -> list[str]:
    """'12 ± 3'; '12' where there is no sd (one seed); a dash where there is no mean."""
    return [
        number(mean, places) + ("" if np.isnan(sd) else f" ± {number(sd, places)}")
        for mean, sd in zip(rows["mean"], rows["sd"], strict=True)
    ]


def best_bold(
    values: pd.Series, places: int, texts: list[str] | None = None, lowest: bool = False
) -> list[Cell]:
    """Cells of the values, in bold where they show the same digits as the best one."""
    shown = [number(value, places) for value in values]
    best = number(values.min() if lowest else values.max(), places) if len(values) else ""
    marks = [text == best and np.isfinite(value) for text, value in zip(shown, values, strict=True)]
    return emphasised(texts or shown, marks)
