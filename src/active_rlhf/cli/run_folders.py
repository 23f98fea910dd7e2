"""The directories of the runs that an argument RUN|STUDY names."""

from pathlib import Path

from active_rlhf.errors import InputError
from active_rlhf.files import results_folder
from active_rlhf.labelling.queue import FILE
from active_rlhf.labelling.records import RECORD
from active_rlhf.study.loading import load_study

HELP = "a run's directory, a study's results folder, or a study's file"
PEOPLE = (FILE, RECORD)  # what is there if people answer


def run_folders(place: Path, having: tuple[str, ...]) -> tuple[list[Path], Path | None]:
    """The runs that have at least one of these files, and the study's results, if it is a study.

    Raises InputError if there are none.
    """
    results: Path | None = None
    if place.is_file():
        results = results_folder(load_study(place, cells=()).study)
    elif (place / "runs").is_dir():
        results = place
    candidates = sorted((results / "runs").glob("*/*/*")) if results else [place]
    found = [folder for folder in candidates if any((folder / name).exists() for name in having)]
    if not found:
        raise InputError(f"{results or place}: no run here has {' or '.join(having)}")
    return found, results
