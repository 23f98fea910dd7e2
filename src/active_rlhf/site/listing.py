"""A table of a page, which its reader sorts, filters, pages through and takes along."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.wording import decimals, number


@dataclass(frozen=True)
class Cell:
    """value: what a number sorts by; href: where it leads; strong: whether it stands out."""

    text: str
    value: float | None = None
    href: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Column:
    """filtered: whether readers choose among its texts; meaning: what the heading stands for."""

    name: str
    numeric: bool = False
    filtered: bool = False
    meaning: str = ""


@dataclass(frozen=True)
class Listing:
    """name: of its place on the page and of files taken from it; source: the file that holds the
    same numbers in full, if one does."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: str = ""


def listing(
    name: str,
    caption: str,
    columns: Sequence[tuple[Column, Sequence[Cell]]],
    source: str = "",
) -> Listing:
    """A listing from its columns, all of one length."""
    heads = tuple(column for column, _ in columns)
    rows = tuple(zip(*(cells for _, cells in columns), strict=True))
    return Listing(name, caption, heads, rows, source)


def texts(name: str, values: Iterable[Any], **more: Any) -> tuple[Column, list[Cell]]:
    """A column of texts."""
    return Column(name, **more), [Cell(str(value)) for value in values]


def choices(name: str, values: Iterable[Any], meaning: str = "") -> tuple[Column, list[Cell]]:
    """A column of texts that readers choose among."""
    return texts(name, values, filtered=True, meaning=meaning)


def numbers(
    name: str,
    values: Sequence[float] | pd.Series,
    places: Sequence[int] | int | None = None,
    meaning: str = "",
    show: Callable[[float, int], str] = number,
) -> tuple[Column, list[Cell]]:
    """A column of numbers. places: decimals of each or of all; those of three digits by default."""
    given = [float(value) for value in values]
    usual = decimals(given) if places is None else places
    each = [usual] * len(given) if isinstance(usual, int) else list(usual)
    cells = [
        Cell(show(value, digits), value if np.isfinite(value) else None)
        for value, digits in zip(given, each, strict=True)
    ]
    return Column(name, numeric=True, meaning=meaning), cells


def digits(frame: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Decimals for each row, three digits of the largest value of its group in these columns."""
    places = np.zeros(len(frame), int)
    for key, positions in frame.groupby(list(by), sort=False).indices.items():
        own = frame.iloc[positions]
        names = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        metric = str(names.get("metric_type", ""))
        places[positions] = decimals(own[list(columns)].to_numpy(float).ravel(), metric)
    return [int(place) for place in places]


def pairs(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Facts for a list of terms, without those that say nothing."""
    return [(name, str(value)) for name, value in facts.items() if value not in ("", None)]
