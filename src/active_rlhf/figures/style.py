"""The look that all figures share: sizes, fonts, a method's colour, and how a figure is saved.

Sizes are those in print: a figure is drawn at the width at which it will be printed (one column, or
the whole text), so fonts of 6 to 8 points appear at that size. `look` changes width and colours.
"""

import math
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.lines import Line2D

from active_rlhf.analysis.text import SYMBOLS
from active_rlhf.analysis.wording import Terms, seeds
from active_rlhf.errors import InputError
from active_rlhf.files import atomic

COLUMN_WIDTH = 3.4  # inches
TEXT_WIDTH = 7.0
PANEL_WIDTH = 1.7  # at least, in the usual size of fonts
NOTE_SIZE = 6  # points
FONT, FONT_SIZE = "DejaVu Sans", 8.0  # points
LATEX = "pdflatex"

# Okabe and Ito's colours, for every kind of colour vision; without yellow, too pale on paper.
COLOURS = ("#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "d", "h", "p")

RC: Any = {
    "font.family": FONT,
    "font.size": FONT_SIZE,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,  # TrueType: text stays text
    "svg.hashsalt": "active-rlhf",
    "pgf.texsystem": LATEX,
    "pgf.rcfonts": False,  # that of the document
    "pgf.preamble": "\n".join(
        rf"\DeclareUnicodeCharacter{{{ord(character):04X}}}{{{text}}}"
        for character, text in SYMBOLS.items()
    ),
    "text.parse_math": False,  # a dollar sign in a method's name is a dollar sign
    "savefig.dpi": 200,
}

P = ParamSpec("P")


@dataclass(frozen=True)
class MethodStyle:
    colour: str
    line: Any
    marker: str


@dataclass(frozen=True)
class _Look:
    width: float | None = None
    colours: Mapping[str, str] | Sequence[str] = ()
    font: str = FONT
    size: float = FONT_SIZE

    def rc(self) -> Any:
        """RC in this font and size."""
        scaled = {
            key: self.points(value)
            for key, value in RC.items()
            if key.endswith((".size", "labelsize", "titlesize", "legend.fontsize"))
            and key != "lines.markersize"
        }
        return RC | scaled | {"font.family": self.font}

    def points(self, usual: float) -> float:
        """A size of text, in points, where titles have `size` instead of the usual one."""
        return usual * self.size / FONT_SIZE

    def colour(self, method: str, place: int) -> str:
        if isinstance(self.colours, Mapping):
            return self.colours.get(method, COLOURS[place % len(COLOURS)])
        colours = self.colours or COLOURS
        return colours[place % len(colours)]


_USUAL = _Look()
_look = ContextVar("look", default=_USUAL)


@contextmanager
def look(
    width: float | None = None,
    colours: Mapping[str, str] | Sequence[str] = (),
    font: str = FONT,
    size: float = FONT_SIZE,
) -> Iterator[None]:
    """Change the look of figures drawn inside this context.

    width: of every figure, in inches; the height of panels does not change. colours: by method
    (others keep theirs), or a sequence for all methods in table order. Whatever matplotlib accepts
    as a colour will do. font: by its name; size: of titles and labels, in points.

    Raises InputError if the font is not installed.
    """
    if font != FONT:
        try:
            findfont(font, fallback_to_default=False)
        except ValueError:
            raise InputError(f"figures.font: no font {font!r} is installed here") from None
    token = _look.set(_Look(width, colours, font, size))
    try:
        yield
    finally:
        _look.reset(token)


def look_of(study: Mapping[str, Any]) -> AbstractContextManager[None]:
    """The look that a study's setting `figures` asks for."""
    chosen = study["figures"]
    width = {"usual": None, "column": COLUMN_WIDTH, "page": TEXT_WIDTH}.get(
        chosen["size"], chosen["size"]
    )
    return look(width, chosen["colours"], chosen["font"], chosen["font_size"])


def by_figure(paths: Sequence[str], study: Mapping[str, Any]) -> list[Sequence[str]]:
    """The files of each figure, which are in turns: one for each format of a study."""
    count = len(dict.fromkeys(["png", *study["figures"]["formats"]]))
    return [paths[i : i + count] for i in range(0, len(paths), count)]


def points(usual: float) -> float:
    """A size of text in points, as `look` scales it."""
    return _look.get().points(usual)


def figure_width(whole: bool = True) -> float:
    """The width of the whole text, or else of one column, in inches; `look` overrides both."""
    return _look.get().width or (TEXT_WIDTH if whole else COLUMN_WIDTH)


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a figure function draw in the house style without touching matplotlib's global state."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_look.get().rc()):
            return draw(*args, **kwargs)

    return inner


def save(
    figure: Figure, paths: Iterable[str | Path], mark: str = "", dpi: float | None = None
) -> None:
    """Write the figure to each path, in the format of its suffix: .pdf, .png, .svg, .pgf or others.

    In these formats, the same figure always gives the same bytes. mark: what it was made from
    (`marks.mark`), kept in their metadata; dpi: pixels per inch, where a format has pixels.
    """
    metadata: dict[str, dict[str, Any]] = {
        ".pdf": {"CreationDate": None, "Subject": mark or None},
        ".png": {"Software": None, "Source": mark or None},
        ".svg": {"Date": None, "Source": mark or None},
    }
    with mpl.rc_context(_look.get().rc() | ({"savefig.dpi": dpi} if dpi else {})):
        for path in map(Path, paths):
            if path.suffix == ".pgf" and not shutil.which(LATEX):
                raise InputError(
                    f"{path}: figures.formats: pgf needs LaTeX, and {LATEX} is not here"
                )
            with atomic(path) as temporary:
                known: Any = {"metadata": metadata[path.suffix]} if path.suffix in metadata else {}
                figure.savefig(temporary, **known)
                if path.suffix == ".pgf":
                    text = temporary.read_text(encoding="utf-8")
                    # Other documents do not declare these.
                    text = text.translate({ord(c): f"{{{tex}}}" for c, tex in SYMBOLS.items()})
                    temporary.write_text(f"% {mark}\n{text}" if mark else text, encoding="utf-8")
            figure.set_layout_engine("none")  # laid out by now; once more would take as long again


def method_styles(frame: pd.DataFrame, terms: Terms) -> dict[str, MethodStyle]:
    """Colour, line and marker of the frame's methods, by their place in the study's table order."""
    present = terms.order(frame)
    names = terms.methods or present
    return {
        method: MethodStyle(
            _look.get().colour(method, i), LINES[i % len(LINES)], MARKERS[i % len(MARKERS)]
        )
        for i, method in enumerate(names)
        if method in present
    }


def across(count: int) -> int:
    """How many of `count` panels are side by side: fewer where the figure is narrow."""
    return fitting({4: 2, 7: 4, 8: 4}.get(count, min(count, 3)))


def fitting(columns: int, width: float = PANEL_WIDTH) -> int:
    """How many of these columns, each so many inches wide in the usual size of fonts, there is room
    for."""
    return max(1, min(columns, int(figure_width(columns > 1) / (width * points(1)))))


def panels(
    count: int, height: float = 2.1, columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of panels `height` inches high; one is as wide as a column, several as the text."""
    columns = columns or across(count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(figure_width(count > 1), height * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    return figure, axes


def wrap(text: str, width: int = 16) -> str:
    """Break a label into lines of at most `width` characters, if necessary inside a long word."""
    if len(text) <= width:
        return text
    lines = textwrap.wrap(text.replace("_", "_ "), width)  # an underscore ends a word
    return "\n".join(line.replace("_ ", "_") for line in lines)


def title(axes: Axes, env: str, counts: Iterable[float], columns: int) -> None:
    """Name a panel's environment and number of seeds; `columns` panels are side by side."""
    width = axes.figure.get_figwidth() / columns  # type: ignore[union-attr]
    axes.set_title(wrap(f"{env} ({seeds(counts)})", int(width * 72 / (points(8) * 0.62))))


def legend(figure: Figure, styles: Mapping[str, MethodStyle], markers: bool = False) -> None:
    """One legend above all panels, in as many columns as the longest name leaves room for."""
    handles = [
        Line2D([], [], color=s.colour, linestyle=s.line, marker=s.marker if markers else "")
        for s in styles.values()
    ]
    swatches(figure, handles, list(styles))


def swatches(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    """A legend of the given handles above all panels; the figure grows to make room for it."""
    labels = [wrap(name, 40) for name in names]
    widths = [0.5 + points(7) * 0.062 / 7 * max(map(len, label.splitlines())) for label in labels]
    for rows in range(1, len(names) + 1):  # the fewest rows whose columns fit the figure
        starts = range(0, len(names), rows)
        if sum(max(widths[i : i + rows]) for i in starts) <= figure.get_figwidth():
            break
    grow(figure, rows * (1 + max(label.count("\n") for label in labels)) * points(7) * 1.6)
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=len(starts),
        handlelength=2.4,
        columnspacing=1.2,
    )


def note(figure: Figure, *sentences: str) -> None:
    """State what is shown (n, interval, test, runs left out) below the panels; the figure grows."""
    characters = int(figure.get_figwidth() * 72 / (points(NOTE_SIZE) * 0.56))
    lines = textwrap.wrap(" ".join(filter(None, sentences)), characters)
    grow(figure, len(lines) * points(NOTE_SIZE) * 1.3)
    figure.supxlabel(
        "\n".join(lines), x=0.01, ha="left", fontsize=points(NOTE_SIZE), color="#444444"
    )


def grow(figure: Figure, points: float) -> None:
    """Make the figure higher, so that what is put around the panels does not shrink them."""
    figure.set_figheight(figure.get_figheight() + points / 72)


def blank(reason: str) -> Figure:
    """A figure that says why there is nothing to show."""
    figure, (axes,) = panels(1, height=0.6)
    axes.axis("off")
    axes.text(0.5, 0.5, wrap(reason, 50), ha="center", va="center", transform=axes.transAxes)
    return figure
