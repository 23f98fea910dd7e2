"""Train reward models on labels that are there already, and compare them on answers held out.

Each person's answers are held out in turn, with the pairs they are about; of one person's labels,
parts of the pairs. Settings are the defaults or those of a study. With --score, scores are compared
too: each chooses a share of the labels, round by round, and the model learns from these.

Example:
  active-rlhf reward-fit people.jsonl --score range none --out fits.csv
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from active_rlhf.cli import one_run
from active_rlhf.cli.run_folders import HELP
from active_rlhf.cli.threads import one_thread
from active_rlhf.errors import InputError
from active_rlhf.study.settings import Choice


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "place",
        metavar="RUN|STUDY|FILE",
        type=Path,
        help=f"{HELP}, or what `active-rlhf labels --segments` made of them",
    )
    one_run.add_study_arguments(parser, "reward_model.dropout=0")
    parser.add_argument(
        "--reward-model",
        nargs="+",
        metavar="MODEL",
        help="those to compare, by name or as in '{name: mlp, dropout: 0}'; the study's by default",
    )
    parser.add_argument(
        "--score", nargs="+", default=[], metavar="NAME", help="scores to compare; none: at random"
    )
    parser.add_argument(
        "--share", type=float, default=0.5, help="of the labels, that a score chooses (0.5)"
    )
    parser.add_argument("--passes", type=int, default=100, help="of training over the labels (100)")
    parser.add_argument("--folds", type=int, default=5, help="parts of the pairs (5)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each model (3)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write a CSV")


def run(args: Namespace) -> int:
    one_thread()
    for name, low in (("passes", 1), ("folds", 2), ("seeds", 1)):
        if getattr(args, name) < low:
            raise InputError(f"--{name}: must be at least {low}, not {getattr(args, name)}")
    if not 0 < args.share <= 1:
        raise InputError(f"--share: must be above 0 and at most 1, not {args.share}")
    from active_rlhf.parts import part

    for name in args.score:
        if name != "none":
            part("score", name)
    models = _models(args)

    from active_rlhf.cli.labels import labels_of
    from active_rlhf.compute.threads import single_threaded
    from active_rlhf.files import atomic
    from active_rlhf.labelling.fitting import answers_of, compare
    from active_rlhf.tables.fits import fits
    from active_rlhf.tables.format import markdown

    answers = answers_of(labels_of(args.place)[0])
    with single_threaded():
        rows = compare(answers, models, args.score, args.share, args.passes, args.folds, args.seeds)
    if args.out:
        with atomic(args.out) as temporary:
            rows.to_csv(temporary, index=False, lineterminator="\n")
    print(markdown(fits(rows, args.seeds)), end="")
    return 0


def _models(args: Namespace) -> dict[str, Choice]:
    """The reward models to compare, by what they were called."""
    from active_rlhf.study.loading import load_study, parse_set

    changes = one_run.changes(args)
    minimal = {"study": "offline", "seeds": [0], "environments": ["Hopper-v5"]}
    if args.study:
        one_run.require(args, "study", "env")

    def choice(change: dict[str, Any]) -> Choice:
        given = one_run.merge(changes, change)
        if args.study:
            study = load_study(args.study, given, cells=())
        else:
            study = load_study("--set", given, minimal | {"selectors": ["random"]}, cells=())
        env = args.env or "Hopper-v5"
        if env not in study.environments:
            from active_rlhf.study.messages import unknown

            raise InputError(
                unknown(f"study {study.study}", "environment", env, study.environments)
            )
        return study.environments[env].reward_model

    if not args.reward_model:
        found = choice({})
        return {found.name: found}
    return {text: choice(parse_set(f"reward_model={text}")) for text in args.reward_model}
