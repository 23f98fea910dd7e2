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
from typing import TYPE_CHECKING

from active_rlhf.cli.run_folders import HELP, run_folders

if TYPE_CHECKING:
    from active_rlhf.labelling.data import Labels

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
    from active_rlhf.labelling.data import write

    found, unfinished = labels_of(args.place)
    write(found, args.out, args.segments)
    left = f"; {unfinished} runs are not finished" if unfinished else ""
    said = f"{sum(map(len, found))} queries of {len(found)} runs are in {args.out}{left}"
    print(said, file=sys.stderr)
    return 0


def labels_of(place: Path) -> "tuple[list[Labels], int]":
    """The labels of a file, a run or a study's finished runs; and how many are not finished."""
    from active_rlhf.labelling.data import LABELS, read

    if place.suffix in FORMATS and not place.is_dir():
        return read(place), 0
    folders, results = run_folders(place, (LABELS,))
    begun = (results / "runs").glob("*/*/*") if results else folders
    labels = [labels for folder in folders for labels in read(folder)]
    return labels, len([path for path in begun if path.is_dir()]) - len(folders)
