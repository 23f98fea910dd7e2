"""Print the folder of a study's results.

With `--finished all` it is refused unless every run is finished, and what is missing is named; with
`--finished some`, or where the study says `partial: true`, one finished run will do.

Example:
  active-rlhf results config/demo.yaml
"""

from argparse import ArgumentParser, Namespace

from active_rlhf.errors import InputError
from active_rlhf.files import results_folder
from active_rlhf.study.loading import load_study
from active_rlhf.study.matrix import study_runs
from active_rlhf.study.progress import unfinished

SHOWN = 5  # missing runs


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("study", help="the study's file")
    parser.add_argument("--finished", choices=("all", "some"), help="runs that have to be")


def run(args: Namespace) -> int:
    study = load_study(args.study, cells=())
    results = results_folder(study.study)
    if args.finished:
        missing, total = unfinished(study, results), len(study_runs(study))
        train = f"`make demo CONFIG={args.study}` trains what is missing"
        if missing and len(missing) == total:
            raise InputError(f"{results}: none of the {total} runs is finished; {train}")
        if missing and args.finished == "all" and not study.partial:
            shown = ", ".join(" ".join(map(str, run)) for run in missing[:SHOWN])
            more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
            raise InputError(
                f"{results}: {len(missing)} of {total} runs are not finished ({shown}{more}); "
                f"{train}, and PARTIAL=1 uses only those that are"
            )
    print(results)
    return 0
