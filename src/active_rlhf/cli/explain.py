"""Explain a setting, section or part: its meaning, unit, default and range.

Example:
  active-rlhf explain agent.clip
"""

from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "key", help="a setting, section or part, as in agent.clip, ppo.clip, labels or dpp"
    )
    parser.add_argument("--study", help="a study's file, whose own parts are explained too")


def run(args: Namespace) -> int:
    from active_rlhf.study.loading import load_study
    from active_rlhf.study.reference import explain

    if args.study:
        load_study(args.study, cells=())  # which loads its parts
    print(explain(args.key))
    return 0
