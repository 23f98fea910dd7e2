"""Draw one figure of a study anew, in a size, font or format of its own.

Draws from the statistics that are there, and changes nothing in the study's folder. What the
study's setting `figures` says holds unless an option says otherwise. By default the figure is about
all environments.

Example:
  active-rlhf figure learning_curves config/demo.yaml --size 3.3in --out curves.pdf
"""

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from active_rlhf.errors import InputError
from active_rlhf.files import results_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".pdf", ".png", ".svg", ".pgf")
LENGTH = re.compile(r"(\d+(?:\.\d+)?)(in|cm|mm|pt)")
INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}
NAMED = {"column": "3.4in", "page": "7in"}


NAMES = (
    *("learning_curves", "endpoints", "effects", "improvement", "critical_difference"),
    *("profiles", "efficiency", "return_limits", "reward_model_endpoints", "reward_model_effects"),
)


@dataclass(frozen=True)
class Drawing:
    """How a figure is drawn: by a function that takes these statistics in order. It may be about
    each environment too, or about that alone, where there is none of the whole study."""

    draw: "Callable[..., Figure]"
    tables: tuple[str, ...]
    each: bool = False
    whole: bool = True


def drawings() -> dict[str, Drawing]:
    """The figures by name."""
    from active_rlhf.figures import curves, effects, endpoints, limits, profiles, rankings

    values, tests = ("endpoints", "summary"), ("comparisons",)
    found = (
        Drawing(curves.learning_curves, ("curves",), each=True),
        Drawing(endpoints.endpoint_distributions, values),
        Drawing(effects.forest, tests, each=True),
        Drawing(rankings.improvement_matrix, ("improvement", "summary")),
        Drawing(rankings.critical_difference_diagram, ("ranks",)),
        Drawing(profiles.performance_profiles, ("profiles", "aggregates")),
        Drawing(profiles.efficiency, ("efficiency", "aggregates")),
        Drawing(limits.limits, ("quality", "limits")),
        Drawing(endpoints.reward_distributions, values, each=True, whole=False),
        Drawing(effects.reward_forest, tests, each=True, whole=False),
    )
    return dict(zip(NAMES, found, strict=True))


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("study", type=Path, help="the study's file")
    parser.add_argument("--env", help="about one environment")
    parser.add_argument("--variant", help="within a variant (default: the first)")
    parser.add_argument(
        "--size", help="width: column, page, or a length such as 3.3in, 8cm or 240pt"
    )
    parser.add_argument("--font", help="by its name on this machine")
    parser.add_argument("--font-size", type=float, metavar="POINTS", help="of titles and labels")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .pdf, .png, .svg or .pgf (default: NAME.pdf)"
    )


def run(args: Namespace) -> int:
    out = args.out or Path(f"{args.name}.pdf")
    if out.suffix not in SUFFIXES:
        raise InputError(f"--out: must end in {', '.join(SUFFIXES)}, not {out.name!r}")
    width = _inches(args.size)
    if args.font_size is not None and not args.font_size >= 4:
        raise InputError(f"--font-size: must be at least 4 points, not {args.font_size:g}")
    from active_rlhf.figures.style import look_of, save
    from active_rlhf.study.loading import load_study

    study = load_study(args.study, cells=())
    given = {"size": width, "font": args.font, "font_size": args.font_size}
    chosen = study.figures.as_dict() | {key: value for key, value in given.items() if value}
    with look_of({"figures": chosen}):
        save(_drawn(drawings()[args.name], study, args), [out])
    print(out)
    return 0


def _inches(text: str | None) -> float | None:
    """A width in inches. Raises InputError."""
    if text is None:
        return None
    match = LENGTH.fullmatch(NAMED.get(text, text))
    if not match or not 1 <= (inches := float(match[1]) * INCHES[match[2]]) <= 40:
        raise InputError(
            f"--size: must be column, page, or a length from 1in to 40in such as 3.3in, 8cm or "
            f"240pt, not {text!r}"
        )
    return inches


def _drawn(drawing: Drawing, study: Any, args: Namespace) -> "Figure":
    from active_rlhf.analysis.files import read_table
    from active_rlhf.analysis.variants import about
    from active_rlhf.study.asked import asked_within
    from active_rlhf.study.matrix import methods_of

    folder = results_folder(study.study) / "statistics"
    tables = [read_table(folder / f"{name}.parquet") for name in drawing.tables]
    variants = {name: methods_of(study, name) for name in study.variants or {}} or None
    if args.variant is not None and args.variant not in (variants or {}):
        known = ", ".join(variants or {}) or "none"
        raise InputError(f"--variant: no variant {args.variant!r}; there are {known}")
    variant = args.variant or next(iter(variants or {}), "")
    content = study.as_dict() | {"asked": asked_within(study), "variants": variants}
    _, terms, own = about(content, f"{args.env or ''}@{variant}", *tables)
    if not own[0].size:
        raise InputError(f"{args.name}: this study has no numbers for it")
    there = list(map(str, own[0]["env"].unique())) if drawing.each else []
    if args.env is not None and args.env not in there:
        known = ", ".join(there) or "all environments only"
        raise InputError(f"--env: {args.name} is about {known}, not {args.env!r}")
    if args.env is None and not drawing.whole:
        raise InputError(f"--env: {args.name} is about one environment: {', '.join(there)}")
    about_it = (args.env or "",) if drawing.each else ()
    return drawing.draw(*own, terms, *about_it)
