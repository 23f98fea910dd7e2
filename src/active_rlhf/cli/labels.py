"""Copy the labels of runs to another format: JSONL, CSV, or the labels.npz of one run.

A row is a query: who was asked when, what each person said and how fast, and what the run used.
With --segments, what they were shown is there too, which a labels.npz and `active-rlhf reward-fit`
need. docs/label_data.md has the columns.

Example:
  active-rlhf labels results/people --out people.jsonl --segments
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from active_rlhf.cli.run_folders import HELP, run_folders

FORMATS = (".npz", ".jsonl", ".csv")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "place", metavar="RUN|STUDY|FILE", type=Path, help=f"{HELP}, or labels in another format"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", required=True, help="ending in .jsonl, .csv or .npz"
    )
    parser.add_argument("--segments", action="store_true", help="with what people were shown")


def run(args: Namespace) -> int:
    from active_rlhf.labelling.data import LABELS, read, write

    places, left = [args.place], ""
    if args.place.suffix not in FORMATS or args.place.is_dir():
        places, results = run_folders(args.place, (LABELS,))
        if results:
            begun = len([path for path in (results / "runs").glob("*/*/*") if path.is_dir()])
            left = f"; {begun - len(places)} runs are not finished" if begun > len(places) else ""
    found = [labels for place in places for labels in read(place)]
    write(found, args.out, args.segments)
    said = f"{sum(map(len, found))} queries of {len(found)} runs are in {args.out}{left}"
    print(said, file=sys.stderr)
    return 0
