"""Write a page of the pairs that a run asked about, with the answers.

The page is one HTML file that loads nothing: both clips on one clock, the teacher's answer, and the
probability that the reward model as it is now gives to the first; true returns are hidden until
asked for. Of a run that still trains, it shows what was asked up to the last checkpoint.

Example:
  active-rlhf queries results/demo/runs/HalfCheetah-v5/duo/1 --out queries.html
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from active_rlhf.cli.threads import one_thread

OUT = Path("queries.html")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's directory")
    parser.add_argument(
        "--out", type=Path, default=OUT, metavar="FILE", help=f"the page (default: {OUT})"
    )


def run(args: Namespace) -> int:
    one_thread()
    from active_rlhf.films.page import write_queries
    from active_rlhf.films.recorded import Recorded

    count = write_queries(Recorded(args.run), args.out)
    print(f"{args.out}: {count} queries")
    return 0
