"""`active-rlhf explain KEY`: what a setting means, its unit, default and range."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `active-rlhf explain`."""
    parser.add_argument(
        "key", help="a setting, section or part, as in agent.clip, ppo.clip, labels or dpp"
    )


def run(args: argparse.Namespace) -> int:
    """Print what is to be said of the key."""
    from active_rlhf.study.reference import explain

    print(explain(args.key))
    return 0
