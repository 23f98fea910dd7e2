"""Say what a setting, section or part means: a sentence, its unit, default and range.

Example:
  active-rlhf explain agent.clip
"""

from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "key", help="a setting, section or part, as in agent.clip, ppo.clip, labels or dpp"
    )


def run(args: Namespace) -> int:
    from active_rlhf.study.reference import explain

    print(explain(args.key))
    return 0
