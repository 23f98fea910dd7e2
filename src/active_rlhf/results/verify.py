"""Whether a results folder is complete, consistent and untouched, and its config reproducible.

Everything that follows from something else in the folder is computed again: specs from the config,
a run's numbers from its files, exports from runs, statistics from exports. What was drawn or
typeset is held against the hashes of `provenance.json` and against its own mark. A folder may be
damaged in any way: whatever cannot be read is a finding.
"""

import json
import os
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.analysis.findings import findings
from active_rlhf.analysis.overhead import overhead, select
from active_rlhf.analysis.study import statistics_of_exports, write_table
from active_rlhf.analysis.wording import Terms
from active_rlhf.errors import InputError, line
from active_rlhf.files import CHECKPOINT, LOCK, result_files, sha256
from active_rlhf.results.collect import REMEDY, collect, gather_overhead, read_result
from active_rlhf.results.consistency import faults
from active_rlhf.results.export import read_csv
from active_rlhf.results.provenance import (
    CONFIG,
    MARKED,
    RECORD,
    combined,
    marked_inputs,
    read_record,
)
from active_rlhf.run.identity import code_fingerprint
from active_rlhf.run.schedule import steps_of_runs
from active_rlhf.study.loading import load_study, resolve_run
from active_rlhf.study.matrix import baselines, folder_name, study_runs
from active_rlhf.study.messages import show
from active_rlhf.study.reading import read_yaml
from active_rlhf.study.settings import Spec, Study

PROBLEM, WARNING, NOTE = "problem", "warning", "note"
MISSING = "missing; let snakemake make it again"
STALE = "delete it, and snakemake makes it again"
TOLERANCE = 1e-12  # relative, of numbers computed again
MADE = ("exports", "figures", "findings.md", "report", "statistics", "tables")
BESIDE = ("run.json", "finished.json", "progress.json", "tensorboard", "wandb")  # in a run's folder


@dataclass(frozen=True)
class Finding:
    """Something about one file or folder; `path` is relative to the results folder."""

    path: str
    message: str
    level: str = PROBLEM


@dataclass
class Folder:
    """A results folder, and what was found in it so far.

    `study` and `record` are None where they cannot be read; `files` are the regular ones.
    """

    root: Path
    files: set[str] = field(default_factory=set)
    study: Study | None = None
    record: dict[str, Any] | None = None
    found: list[Finding] = field(default_factory=list)

    def unsound(self, *places: str) -> bool:
        """Whether a problem was found in one of these files or folders."""
        return any(
            finding.level == PROBLEM and f"{finding.path}/".startswith(f"{place}/")
            for finding in self.found
            for place in places
        )


Findings = Iterator[Finding]


def verify(root: Path) -> list[Finding]:
    """All that is wrong (PROBLEM), doubtful (WARNING) or worth knowing (NOTE) about a folder.

    Raises InputError if there is no such folder or it holds no study.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give a study's, as in results/demo")
    if not any((root / name).exists() for name in (CONFIG, RECORD, "runs")):
        raise InputError(f"{root}: holds no study (none of {CONFIG}, {RECORD}, runs/)")
    folder = Folder(root)
    for place, check in (
        *(("", _files), (CONFIG, _config), (RECORD, _record), ("runs", _runs)),
        *(("exports", _exports), ("statistics", _statistics), (RECORD, _marks), ("", _leftovers)),
    ):
        folder.found += _guarded(folder, place, check, folder)
    return list(dict.fromkeys(folder.found))


def _guarded(folder: Folder, path: str, check: Callable[..., Findings], *given: Any) -> Findings:
    """What a check finds; its failure is a finding about `path`, or about the file it names."""
    try:
        yield from check(*given)
    except InputError as error:
        inside, text = f"{folder.root}{os.sep}", str(error)
        if text.startswith(inside):
            path, _, text = text.removeprefix(inside).partition(": ")
            path, colon, number = path.partition(":")
            text = f"line {number}: {text}" if colon else text
        yield Finding(path, text)
    except Exception as error:  # whatever a library makes of a damaged file
        yield Finding(path, f"cannot be checked ({type(error).__name__}: {line(error)})")


# --- what is there ------------------------------------------------------------------------------


def _files(folder: Folder) -> Findings:
    """List the regular files; anything else that is no folder is named."""
    errors: list[OSError] = []
    for directory, folders, names in os.walk(folder.root, onerror=errors.append):
        for name in (*names, *folders):
            path = os.path.join(directory, name)
            relative, mode = os.path.relpath(path, folder.root), os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                folder.files.add(relative)
            elif stat.S_ISLNK(mode):
                yield Finding(relative, "a symbolic link; put what it leads to in its place")
            elif not stat.S_ISDIR(mode):
                yield Finding(relative, "neither a file nor a folder; remove it")
    for error in errors:
        path = os.path.relpath(error.filename, folder.root)
        yield Finding(path, f"cannot be listed ({error.strerror}); make it readable")


def _config(folder: Folder) -> Findings:
    """Read the stored config, which must be what loading it gives: every default filled in."""
    path = folder.root / CONFIG
    if CONFIG not in folder.files:
        yield Finding(CONFIG, MISSING)
        return
    stored = read_yaml(path)
    folder.study = load_study(path, data=_with_paths(stored, path), cells=())
    study = folder.study.as_dict()
    differing = [
        key
        for key in sorted({*stored, *study} - {"imported"})
        if key not in stored or key not in study or stored[key] != study[key]
    ]
    if differing:
        keys = ", ".join(map(show, differing))
        yield Finding(CONFIG, f"today's code would store other values of {keys}", WARNING)
    if study["study"] != folder.root.resolve().name:
        yield Finding(CONFIG, f"is of the study {study['study']}, not of this folder's name", NOTE)


def _with_paths(stored: dict[str, Any], path: Path) -> dict[str, Any]:
    """The config with imported files found also from where the study was made."""
    imported = stored.get("imported")
    if not isinstance(imported, Mapping):
        return stored
    home = path.resolve().parent.parent.parent
    found = {
        name: str(home / file) if isinstance(file, str) and (home / file).is_file() else file
        for name, file in imported.items()
    }
    return stored | {"imported": found}


def _record(folder: Folder) -> Findings:
    """Read the record and hold every file against it."""
    if RECORD not in folder.files:
        yield Finding(RECORD, MISSING)
        return
    folder.record = record = read_record(folder.root)
    changed = f"not as it was made, by its hash in {RECORD}; {STALE}"
    for name, entry in record["artefacts"].items():
        if name not in folder.files:
            yield Finding(name, MISSING)
        elif sha256(folder.root / name) != entry["sha256"]:
            yield Finding(name, changed)
    for run, entry in record["runs"].items():
        path = f"runs/{run}/run.json"
        if path in folder.files and sha256(folder.root / path) != entry["sha256"]:
            yield Finding(path, f"not as it was analysed, by its hash in {RECORD}; {REMEDY}")
    if folder.study is None:
        return
    for name, path in (folder.study.imported or {}).items():
        if record["imported"].get(name, {}).get("sha256") != sha256(path):
            yield Finding(RECORD, f"{path} has changed since; let snakemake analyse it again")
    runs = set(_run_folders(folder.study))
    if record["study"] != folder.study.study or record["runs"].keys() != runs:
        yield Finding(RECORD, f"is not of the runs in {CONFIG}; {STALE}")


# --- runs ---------------------------------------------------------------------------------------


def _runs(folder: Folder) -> Findings:
    """Every run of the config, and in what they differ from each other and from today's code."""
    study, cells, versions = folder.study, Counter[str](), Counter[str]()
    if study is None:
        return

    @cache
    def code(environment: str, selector: str) -> str:
        return code_fingerprint(resolve_run(study, environment, selector, study.seeds[0]))

    runs = study_runs(study)
    for environment, selector, seed in runs:
        name = f"runs/{folder_name(environment)}/{selector}/{seed}"
        spec = resolve_run(study, environment, selector, seed)
        results: list[dict[str, Any]] = []
        yield from _guarded(folder, name, _run, folder, name, spec, results)
        for result in results:
            if result.get("code") != code(environment, selector):
                cells[f"{environment} {selector}"] += 1
            versions[json.dumps(result.get("versions"), sort_keys=True)] += 1
    if cells:
        yield Finding(
            "runs",
            f"{cells.total()} of {len(runs)} were made by other training code than this package's "
            f"({_listed(list(cells))}); see {RECORD} for theirs, or let snakemake train them again",
            WARNING,
        )
    if len(versions) > 1:
        yield Finding("runs", f"made with different versions: {_differing(versions)}", WARNING)


def _run(folder: Folder, name: str, spec: Spec, results: list[Any]) -> Findings:
    """One run; its run.json is appended to `results` once it is known to be of this spec."""
    directory, path = folder.root / name, f"{name}/run.json"
    if path not in folder.files:
        yield Finding(name, "the run is not complete (it has no run.json); let snakemake finish it")
        return
    result = read_result(directory, spec)
    results.append(result)
    recorded = result.get("files")
    hashes: dict[str, str] = recorded if isinstance(recorded, dict) else {}
    if recorded is not hashes:
        yield Finding(path, f"records no hashes of the run's files; {REMEDY}")
    files = result_files(spec.labels is not None)
    missing = [file for file in files if f"{name}/{file}" not in folder.files]
    for file in missing:
        yield Finding(f"{name}/{file}", f"missing from a complete run; {REMEDY}")
    for file in files:
        known = recorded is hashes and file not in missing
        if known and hashes.get(file) != sha256(directory / file):
            yield Finding(f"{name}/{file}", f"not as the run wrote it, by run.json; {REMEDY}")
    for file, fault in () if missing else faults(directory, spec, result):
        yield Finding(f"{name}/{file}", f"{fault}; {REMEDY}")
    copy = f"{name}/finished.json"
    if copy not in folder.files:
        yield Finding(copy, "missing; nothing reads it unless run.json is lost", NOTE)
    elif sha256(folder.root / copy) != sha256(folder.root / path):
        yield Finding(copy, f"is no copy of run.json; {REMEDY}")


def _differing(versions: Counter[str]) -> str:
    """'numpy 2.4.6 (23 runs), 2.4.5 (1 run); ...', of what is not the same in all."""
    by_package: dict[str, Counter[str]] = {}
    for text, count in versions.items():
        found = json.loads(text)
        for package, version in (found if isinstance(found, dict) else {"none": ""}).items():
            by_package.setdefault(package, Counter())[str(version)] += count
    return "; ".join(
        f"{package} "
        + ", ".join(f"{version} ({count} runs)" for version, count in counts.most_common())
        for package, counts in sorted(by_package.items())
        if len(counts) > 1 or counts.total() < versions.total()
    )


# --- what is computed from them -----------------------------------------------------------------


def _exports(folder: Folder) -> Findings:
    """Make the exports again from the runs; they must be the same to the byte."""
    trained = folder.study.environments if folder.study else {}
    for environment in trained:
        files = folder_name(environment)
        place = f"exports/{files}.csv"
        if folder.unsound(f"runs/{files}"):
            yield Finding(place, "not compared with its runs, which are not sound", NOTE)
        else:
            yield from _guarded(folder, place, _export, folder, environment)
    parts = [f"{folder_name(environment)}.overhead.csv" for environment in trained]
    if parts and folder.files.issuperset(f"exports/{part}" for part in parts):
        with tempfile.TemporaryDirectory() as temporary:
            made = Path(temporary, "overhead.csv")
            gather_overhead([folder.root / "exports" / part for part in parts], made)
            yield from _same_text(folder, "exports/overhead.csv", made.read_bytes())


def _export(folder: Folder, environment: str) -> Findings:
    assert folder.study
    with tempfile.TemporaryDirectory() as temporary:
        collect(folder.study, environment, folder.root / "runs", Path(temporary))
        for made in sorted(Path(temporary).iterdir()):
            yield from _same_text(folder, f"exports/{made.name}", made.read_bytes())


def _same_text(folder: Folder, name: str, made: bytes) -> Findings:
    if name not in folder.files:
        yield Finding(name, MISSING)
        return
    found = (folder.root / name).read_bytes()
    if found != made:
        pairs = zip(found.splitlines(), made.splitlines(), strict=False)
        row = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
        where = "its length" if row is None else f"line {row + 1}"
        yield Finding(name, f"is not what it is made from gives, in {where}; {STALE}")


def _statistics(folder: Folder) -> Findings:
    """Compute the statistics again from the exports, and the findings from the statistics."""
    study = folder.study
    if study is None:
        return
    trained = study.environments
    if folder.unsound("exports") or (not trained and folder.unsound(RECORD)):
        yield Finding("statistics", "not computed again: what they are made from is unsound", NOTE)
        return
    exports = folder.root / "exports"
    paths = {name: str(exports / f"{folder_name(name)}.csv") for name in trained} or study.imported
    stored = study.as_dict()
    choices: dict[str, Any] = {key: stored.get(key) for key in ("methods", "exclude", "statistics")}
    tables = statistics_of_exports(
        choices
        | {
            "exports": paths,
            "total_steps": steps_of_runs(trained),
            "baselines": {name: exports / f"{folder_name(name)}.baselines.csv" for name in trained}
            if baselines(study)
            else {},
        }
    )
    if trained:
        runs = read_csv(exports / "overhead.csv")
        tables["overhead"] = overhead(select(runs, choices["methods"], choices["exclude"]))
    for name, table in tables.items():
        yield from _guarded(folder, f"statistics/{name}.csv", _same_table, folder, name, table)
    pair = tables["comparisons"], tables["summary"]
    page = findings(*pair, Terms.of(choices), stored.get("published"))
    yield from _same_text(folder, "findings.md", page.encode())


def _same_table(folder: Folder, name: str, table: pd.DataFrame) -> Findings:
    """A table's CSV and Parquet: the same bytes, or the same but for the last digits."""
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary, f"{name}.csv")
        write_table(table, made)
        for suffix, read in ((".csv", read_csv), (".parquet", pd.read_parquet)):
            path, fresh = f"statistics/{name}{suffix}", made.with_suffix(suffix)
            if path not in folder.files:
                yield Finding(path, MISSING)
            elif (folder.root / path).read_bytes() != fresh.read_bytes():
                yield from _guarded(
                    folder, path, _same_values, path, read, folder.root / path, fresh
                )


def _same_values(name: str, read: Callable[[Path], pd.DataFrame], *paths: Path) -> Findings:
    found, made = map(read, paths)
    if list(found) != list(made) or len(found) != len(made):
        yield Finding(name, f"has other columns or rows than computed from the exports; {STALE}")
        return
    for column in made:
        a, b = found[column], made[column]
        if all(map(pd.api.types.is_numeric_dtype, (a, b))):
            same = np.isclose(a.astype(float), b.astype(float), TOLERANCE, 0, equal_nan=True)
        else:
            same = (a.astype(str) == b.astype(str)).to_numpy()
        if not same.all():
            row = int(np.argmin(same))
            yield Finding(
                name,
                f"{column} in row {row + 1} is {show(a.tolist()[row])}, the exports give "
                f"{show(b.tolist()[row])}; {STALE}",
            )
            return


def _marks(folder: Folder) -> Findings:
    """Figures, tables and pages carry a hash of what they were made from."""
    artefacts = folder.record["artefacts"] if folder.record else {}
    for name, entry in artefacts.items():
        if name in folder.files and name.endswith(MARKED):
            inputs = (artefacts[item]["sha256"] for item in entry["inputs"])
            marks = marked_inputs(folder.root / name)
            if marks != {combined(inputs)[:16]}:
                made_from = _listed(entry["inputs"])
                yield Finding(name, f"its mark says it was not made from {made_from}; {STALE}")


# --- what else is there -------------------------------------------------------------------------


def _leftovers(folder: Folder) -> Findings:
    """Files that are no part of the study."""
    known = {CONFIG, RECORD, *(folder.record["artefacts"] if folder.record else ())}
    runs = _run_folders(folder.study) if folder.study else None
    for name in sorted(folder.files - known):
        top, *rest = name.split("/")
        if top == "runs" and len(rest) > 3:
            message = _in_run(rest[3]) if runs is None or "/".join(rest[:3]) in runs else FOREIGN
            name = "/".join(["runs", *rest[:3]]) if message == FOREIGN else name
        elif rest and rest[-1].startswith("."):
            message = HALF_WRITTEN
        elif top == "logs" or (top in MADE and not folder.record):
            message = ""
        elif name == "report.html":
            message = f"made after {RECORD}, which does not cover it"
        else:
            message = "not a file of this study"
        if message:
            yield Finding(name, message, NOTE)


def _run_folders(study: Study) -> list[str]:
    """The directories of the study's runs, from that of all runs."""
    return [f"{folder_name(env)}/{selector}/{seed}" for env, selector, seed in study_runs(study)]


FOREIGN = "a run that the config does not name; nothing uses it"
HALF_WRITTEN = "left half-written by a process that was killed; remove it"


def _in_run(name: str) -> str:
    """What is to be said of a file or folder of a run; nothing of one that belongs there."""
    if name == CHECKPOINT:
        return "checkpoint of a run that is going on or was killed; training it goes on from there"
    if name == LOCK:
        return "lock of a run that is going on or was killed"
    if name in (*BESIDE, *result_files(asks=True)):
        return ""
    return HALF_WRITTEN if name.startswith(".") else "not a file of a run"


# --- in words -----------------------------------------------------------------------------------


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def lines(root: Path, found: list[Finding]) -> Iterator[str]:
    """A line a problem, a line a kind of warning and note, and last how many of each there are."""
    for level in (PROBLEM, WARNING, NOTE):
        alike: dict[Any, list[Finding]] = {}
        for finding in found:
            if finding.level == level:
                key = finding if level == PROBLEM else finding.message
                alike.setdefault(key, []).append(finding)
        for first, *others in alike.values():
            label = "" if level == PROBLEM else f"{level}: "
            more = f" (and {len(others)} more)" if others else ""
            yield _printable(f"{root / first.path}{more}: {label}{first.message}")
    yield f"{root}: {_counted(found)}"


def _counted(found: list[Finding]) -> str:
    """'2 problems (runs 1, statistics 1), 1 note', or 'sound' and the rest."""
    levels = Counter(finding.level for finding in found)
    counts = [f"{levels[level]} {level}{'s' * (levels[level] > 1)}" for level in levels]
    places = Counter(f.path.split("/")[0] or "folder" for f in found if f.level == PROBLEM)
    if not places:
        return ", ".join(["sound", *counts])
    where = ", ".join(f"{place} {count}" for place, count in places.most_common())
    rest = [count for count, level in zip(counts, levels, strict=True) if level != PROBLEM]
    problems = next(count for count in counts if PROBLEM in count)
    return ", ".join([f"{problems} ({where})", *rest])


def _printable(text: str) -> str:
    """The text with escapes for what a name may hold: line breaks, bytes that are no text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
