"""A small line chart as an SVG that a page holds, where a drawing for print would be too heavy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from active_rlhf.analysis.wording import decimals, number

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 700, 220, 64, 24, 10
MOST = 400  # points of a line


@dataclass(frozen=True)
class Chart:
    """Where things are in a picture of WIDTH x HEIGHT. points: of an SVG polyline; ticks: the ends
    of the vertical axis, place and text; end: the last step."""

    title: str
    points: str
    ticks: tuple[tuple[float, str], ...]
    end: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM


def chart(title: str, steps: ArrayLike, values: ArrayLike) -> Chart | None:
    """A line of values over steps, those that are finite; None without any.

    Of more than MOST points, means of neighbours are drawn.
    """
    x, y = np.asarray(steps, float), np.asarray(values, float)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    if not len(y):
        return None
    parts = np.array_split(np.arange(len(y)), min(len(y), MOST))
    x, y = (np.array([data[part].mean() for part in parts]) for data in (x, y))
    low, high = y.min(), y.max()
    across = LEFT + (WIDTH - LEFT - 8) * x / max(x.max(), 1)
    up = (y - low) / (high - low if high > low else 1)
    down = HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * up
    places = decimals([low, high])
    ends = ((HEIGHT - BOTTOM, low), (TOP + 4, high))[: 1 + (high > low)]
    return Chart(
        title,
        " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True)),
        tuple((float(place), number(value, places)) for place, value in ends),
        f"{x.max():,.0f} steps",
    )
