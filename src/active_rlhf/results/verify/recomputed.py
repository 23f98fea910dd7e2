"""Exports, statistics and findings, computed again and compared."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.files import read_table, write_table
from active_rlhf.analysis.findings import findings_of_study
from active_rlhf.analysis.overhead import overhead, select
from active_rlhf.analysis.study import statistics_of_exports
from active_rlhf.files import folder_name
from active_rlhf.results.collect import collect, gather_overhead
from active_rlhf.results.export import read_csv
from active_rlhf.results.imports import convert_of_study
from active_rlhf.results.provenance import RECORD
from active_rlhf.results.verify.folder import (
    MISSING,
    NOTE,
    STALE,
    Finding,
    Findings,
    Folder,
    guarded,
)
from active_rlhf.run.schedule import steps_of_runs
from active_rlhf.study.asked import asked_within
from active_rlhf.study.endpoints import evaluated, learned_rewards
from active_rlhf.study.loading import resolve_run
from active_rlhf.study.matrix import (
    baselines,
    budgets,
    environments,
    excluded_in,
    methods,
    methods_of,
    shown_methods,
    yardsticks,
)
from active_rlhf.study.messages import show
from active_rlhf.study.settings import Study
from active_rlhf.tuning.choice import read_choices
from active_rlhf.tuning.outcome import outcome

TOLERANCE = 1e-12  # relative, of numbers computed again


def exports(folder: Folder) -> Findings:
    """Make the exports again from the runs; they must be the same to the byte."""
    study = folder.study
    if study is None:
        return
    for environment in study.environments:
        files = folder_name(environment)
        place = f"exports/{files}.csv"
        if folder.unsound(f"runs/{files}"):
            yield Finding(place, "not compared with its runs, as these are not sound", NOTE)
        else:
            make = _collected(study, environment, folder.root / "runs")
            yield from guarded(folder, place, _again, folder, make)
    for environment in study.imported or {}:
        place = f"exports/{folder_name(environment)}.csv"
        if folder.unsound(RECORD):
            yield Finding(place, "not compared with its files, as these are not sound", NOTE)
        else:
            remake = partial(_converted, study, environment)
            yield from guarded(folder, place, _again, folder, remake)
    parts = [f"exports/{folder_name(name)}.overhead.csv" for name in study.environments]
    if parts and folder.files.issuperset(parts):
        paths = [folder.root / part for part in parts]
        yield from _again(
            folder, lambda made: gather_overhead(paths, made / "exports/overhead.csv")
        )


def _converted(study: Study, environment: str, made: Path) -> None:
    convert_of_study(environment, study.as_dict(), made / "exports")


def _collected(study: Study, environment: str, runs: Path) -> Callable[[Path], None]:
    asked, compared = (
        {name: resolve_run(study, environment, name, study.seeds[0]).as_dict() for name in names}
        for names in (methods(study), baselines(study))
    )
    given = environment, asked, compared, study.seeds, excluded_in(study, environment)
    return lambda made: collect(runs, made / "exports", *given)


def statistics(folder: Folder) -> Findings:
    """Compute the statistics again from the exports, and the findings from the statistics."""
    study = folder.study
    if study is None:
        return
    trained = study.environments
    if folder.unsound("exports") or (not trained and folder.unsound(RECORD)):
        yield Finding(
            "statistics", "not computed again, as what they are made from is not sound", NOTE
        )
        return
    exports = folder.root / "exports"
    stored = study.as_dict()
    keys = ("methods", "exclude", "partial", "statistics", "imported", "scale")
    choices: dict[str, Any] = {key: stored.get(key) for key in keys}
    references = yardsticks(study)
    choices["variants"] = {name: methods_of(study, name) for name in study.variants or {}} or None
    choices["budgets"] = budgets(study)
    of_exports = {
        "exports": {name: exports / f"{folder_name(name)}.csv" for name in environments(study)},
        "total_steps": steps_of_runs(trained),
        "baselines": {
            name: exports / f"{folder_name(name)}.baselines.csv"
            for name in environments(study)
            if references
        },
        "references": references,
        "sessions": {
            name: exports / f"{folder_name(name)}.sessions.csv"
            for name in trained
            if learned_rewards(study)
        },
        "evaluations": {
            name: exports / f"{folder_name(name)}.evaluations.csv"
            for name in trained
            if evaluated(study)
        },
    }

    def make(made: Path) -> None:
        tables = statistics_of_exports(choices | of_exports)
        if trained:
            runs = read_csv(exports / "overhead.csv")
            tables["overhead"] = overhead(select(runs, shown_methods(study), choices["exclude"]))
        for name, table in tables.items():
            write_table(table, made / f"statistics/{name}.parquet")
        if study.sweep:
            sweep = folder.root / "sweep"
            tables["tuning"] = outcome(
                study.sweep,
                read_choices(sweep / "choices.json") or {},
                read_table(sweep / "trials.parquet"),
                *(tables["summary"], tables["variants"], study.methods or {}),
                study.statistics.endpoint,
            )
            write_table(tables["tuning"], made / "sweep/outcome.parquet")
        words = {"asked": asked_within(study), "published": stored.get("published")}
        words["references"] = stored.get("references")
        page = findings_of_study(tables, choices | words)
        (made / "findings.md").write_text(page, encoding="utf-8")

    yield from _again(folder, make)


def _again(folder: Folder, make: Callable[[Path], None]) -> Findings:
    """Compare the files that `make` writes to an empty folder with those in this one."""
    with tempfile.TemporaryDirectory() as temporary:
        make(Path(temporary))
        for made in sorted(path for path in Path(temporary).rglob("*") if path.is_file()):
            name = made.relative_to(temporary).as_posix()
            if name not in folder.files:
                yield Finding(name, MISSING)
            elif made.read_bytes() != (folder.root / name).read_bytes():
                check = _same_values if name.startswith(("statistics/", "sweep/")) else _same_lines
                yield from guarded(folder, name, check, name, folder.root / name, made)


def _same_lines(name: str, *paths: Path) -> Findings:
    found, made = (path.read_bytes().splitlines() for path in paths)
    row = next((i for i, (a, b) in enumerate(zip(found, made, strict=False)) if a != b), None)
    where = "its length" if row is None else f"line {row + 1}"
    yield Finding(name, f"differs in {where} from what its inputs give; {STALE}")


def _same_values(name: str, *paths: Path) -> Findings:
    """Compare two tables; only the last digits of numbers may differ."""
    read = read_table if name.endswith(".parquet") else read_csv
    found, made = map(read, paths)
    if list(found) != list(made) or len(found) != len(made):
        yield Finding(name, f"has other columns or rows than the exports give; {STALE}")
        return
    for column in made:
        a, b = found[column], made[column]
        if all(map(pd.api.types.is_numeric_dtype, (a, b))):
            same = np.isclose(a.astype(float), b.astype(float), TOLERANCE, 0, equal_nan=True)
        else:
            same = (a.astype(str) == b.astype(str)).to_numpy()
        if not same.all():
            row = int(np.argmin(same))
            values = f"{show(a.tolist()[row])}, but the exports give {show(b.tolist()[row])}"
            yield Finding(name, f"{column} in row {row + 1} is {values}; {STALE}")
            return
