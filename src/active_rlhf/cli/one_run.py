"""The arguments that name one run: --study, --env, --selector, --seed and --set."""

from argparse import ArgumentParser, Namespace

from active_rlhf.study.loading import load_study, merge, parse_set, resolve_run
from active_rlhf.study.messages import ConfigError
from active_rlhf.study.settings import Spec, Study


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--study", help="the study's file")
    parser.add_argument("--env", help="one of its environments")
    parser.add_argument("--selector", help="one of its selectors")
    parser.add_argument("--seed", type=int, help="any seed")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help="change a setting, as in total_steps=20480 (repeatable)",
    )


def load(args: Namespace) -> tuple[Study, Spec]:
    """The study and the run's spec, from the arguments. Raises ConfigError."""
    for name in ("study", "env", "selector", "seed"):
        if getattr(args, name) is None:
            raise ConfigError(f"--{name}: missing; needed with --study, --env, --selector, --seed")
    changes = merge({}, *map(parse_set, args.changes))
    study = load_study(args.study, changes, cells=[(args.env, args.selector)])
    return study, resolve_run(study, args.env, args.selector, args.seed)
