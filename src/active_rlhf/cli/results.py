"""Print the folder of a study's results.

Example:
  active-rlhf results config/demo.yaml
"""

from argparse import ArgumentParser, Namespace

from active_rlhf.study.loading import load_study


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("study", help="the study's file")


def run(args: Namespace) -> int:
    print(f"results/{load_study(args.study, cells=()).study}")
    return 0
