"""Print what a study's file was made from: other files, runs, config, code and packages, as JSON.

Example:
  active-rlhf provenance results/demo/figures/effects.pdf
"""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from active_rlhf.results.provenance import trace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a file in a study's results")


def run(args: Namespace) -> int:
    print(json.dumps(trace(args.file), indent=1))
    return 0
