"""The arguments that name one run: --study, --env, --selector, --seed and --set."""

from argparse import ArgumentParser, Namespace
from typing import Any

from active_rlhf.study.loading import load_study, merge, parse_set, resolve_run
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.settings import Spec, Study


def add_arguments(parser: ArgumentParser) -> None:
    add_study_arguments(parser, "total_steps=20480")
    parser.add_argument("--selector", help="one of its selectors")
    parser.add_argument("--seed", type=int, help="any seed")


def add_study_arguments(parser: ArgumentParser, example: str) -> None:
    """--study, --env and --set, with an example of a change."""
    parser.add_argument("--study", help="the study's file")
    parser.add_argument("--env", help="one of its environments")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help=f"change a setting, as in {example} (repeatable)",
    )


def load(args: Namespace) -> tuple[Study, Spec]:
    """The study and the run's spec, from the arguments. Raises ConfigError."""
    require(args, "study", "env", "selector", "seed")
    study = load_study(args.study, changes(args), cells=[(args.env, args.selector)])
    return study, resolve_run(study, args.env, args.selector, args.seed)


def require(args: Namespace, *names: str) -> None:
    """Raise ConfigError unless all of these are given."""
    for name in names:
        if getattr(args, name) is None:
            needed = ", ".join(f"--{other}" for other in names)
            raise ConfigError(f"--{name}: missing; needed with {needed}")


def changes(args: Namespace) -> dict[str, Any]:
    """What --set changes in the study, as one mapping."""
    merged: dict[str, Any] = merge({}, *map(parse_set, args.changes))
    return merged
