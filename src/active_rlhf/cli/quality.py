"""Print how good people's answers are, and how far they agree; of a study, keep it as well.

The measures are those of docs/label_data.md. A study's are written to labels/quality.csv in its
results, those of a run to --out.

Example:
  active-rlhf quality results/people
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from active_rlhf.cli.run_folders import HELP, PEOPLE, run_folders


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("place", metavar="RUN|STUDY", type=Path, help=HELP)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the CSV")


def run(args: Namespace) -> int:
    from active_rlhf.labelling.quality import as_rows, report, write
    from active_rlhf.tables.format import markdown
    from active_rlhf.tables.people import people

    folders, results = run_folders(args.place, PEOPLE)
    rows = as_rows(report(folders))
    if out := args.out or (results and results / "labels" / "quality.csv"):
        write(rows, out)
    print(markdown(people(rows)), end="")
    return 0
