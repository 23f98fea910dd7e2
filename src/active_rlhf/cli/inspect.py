"""Print what a run's reward model has learned: where it pays, whom it agrees with, and how far it
is from the true reward.

Pairs and steps are those of the probe set that the run was measured on, if it is found beside the
run or in its study, and else those that the run asked about. --out writes a page with figures, the
figures, and all numbers as JSON.

Example:
  active-rlhf inspect results/demo/runs/HalfCheetah-v5/duo/1 --out what_it_learned
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from active_rlhf.cli.threads import one_thread
from active_rlhf.errors import InputError
from active_rlhf.study.reading import read_yaml


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a finished run's directory")
    parser.add_argument(
        "--states",
        type=Path,
        metavar="FILE",
        help="further states, as YAML: `states: {name: [observation]}`",
    )
    parser.add_argument(
        "--dims",
        metavar="I,J",
        help="the two dimensions of an observation, from 0, that rewards are drawn over",
    )
    parser.add_argument("--probe", type=Path, metavar="FILE", help="a probe set")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write the page")


def _dimensions(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, _, second = text.partition(",")
    if not (first.strip().isdigit() and second.strip().isdigit()) or int(first) == int(second):
        raise InputError(f"--dims: must be two different numbers, as in 0,2, not {text}")
    return int(first), int(second)


def _states(path: Path) -> dict[str, list[float]]:
    """Own states from a file `states: {name: [numbers]}`. Raises InputError."""
    given = read_yaml(path)
    found = given.get("states") if isinstance(given, Mapping) else None
    if not isinstance(found, Mapping) or not found:
        raise InputError(f"{path}: holds no `states: {{name: [observation]}}`")
    for name, values in found.items():
        numbers = isinstance(values, list) and all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in values
        )
        if not numbers:
            raise InputError(f"{path}: states.{name}: must be a list of numbers")
    return {str(name): list(values) for name, values in found.items()}


def run(args: Namespace) -> int:
    one_thread()
    from active_rlhf.compute.threads import single_threaded
    from active_rlhf.results.inspection import inspect_run, scene_of, shown_segments
    from active_rlhf.tables.format import markdown
    from active_rlhf.tables.inspection import of_run

    dimensions = _dimensions(args.dims)
    states = _states(args.states) if args.states else None
    with single_threaded():
        scene = scene_of(args.run, args.probe, states, dimensions)
        found = inspect_run(args.run, scene)
        shown = shown_segments(args.run, scene) if args.out else []
    text = "\n".join(markdown(table) for table in of_run(found))
    print(text, end="")
    if args.out:
        from active_rlhf.analysis.inspection import mean_maps, plain, reliability_curves
        from active_rlhf.analysis.wording import Terms
        from active_rlhf.figures import inspection as figures
        from active_rlhf.figures.style import save
        from active_rlhf.files import atomic, sha256
        from active_rlhf.results.page import picture, write_page

        terms, env, names = Terms(), found["environment"], {found["method"]: found["method"]}
        drawn = {
            "states": figures.maps(mean_maps([found], names), terms, env),
            "calibration": figures.reliability(reliability_curves([found], names), terms, env),
            "segments": figures.segments(shown),
        }
        for name, figure in drawn.items():
            save(figure, [args.out / f"{name}.png", args.out / f"{name}.pdf"])
        with atomic(args.out / "inspection.json") as temporary:
            content = plain(found | {"segments": shown})
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        title = f"# What did the reward model of {found['environment']} {found['method']} learn?"
        pictures = "\n\n".join(picture(args.out / f"{name}.png", name) for name in drawn)
        page = args.out / "index.html"
        write_page(f"{title}\n\n{text}\n{pictures}\n", page, sha256(args.run / "run.json"))
        print(f"\n{page} has the figures")
    return 0
