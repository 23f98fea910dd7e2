"""The contents of a results folder, its config, files that do not belong, and findings about it."""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from active_rlhf.compute.products import FILE as PRECISION
from active_rlhf.errors import InputError, line
from active_rlhf.files import CHECKPOINT, LOCK, folder_name, result_files
from active_rlhf.results.imports import matching
from active_rlhf.results.provenance import CONFIG, RECORD
from active_rlhf.study.loading import load_study
from active_rlhf.study.matrix import excluded, study_runs
from active_rlhf.study.messages import show
from active_rlhf.study.reading import read_yaml
from active_rlhf.study.settings import Study
from active_rlhf.study.sweep import stages

PROBLEM, WARNING, NOTE = "problem", "warning", "note"
MISSING = "missing; let snakemake make it again"
STALE = "delete it, and snakemake makes it again"
EXCLUDED = "a run that the config excludes; nothing uses it"
FOREIGN = "a run that is not in the config; nothing uses it"
HALF_WRITTEN = "left half-written by a process that was killed; remove it"
MADE = (
    *("exports", "figures", "findings.md", "index.html", "probes", "report", "site", "statistics"),
    "tables",
)
# In a run's folder beside its results; and models in the format of earlier versions.
BESIDE = (
    *("run.json", "finished.json", PRECISION, "progress.json", "tensorboard", "wandb"),
    *("probe.npz", "probe.json"),
)
FORMER = ("policy.pt", "reward_model.pt")


@dataclass(frozen=True)
class Finding:
    """Something about one file or folder; `path` is relative to the results folder."""

    path: str
    message: str
    level: str = PROBLEM


@dataclass
class Folder:
    """A results folder, and the findings so far.

    `study` and `record` are None if they cannot be read; `files` are the regular files.
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


def guarded(folder: Folder, path: str, check: Callable[..., Findings], *given: Any) -> Findings:
    """The findings of a check; if it raises, one about `path`, or the file that it names."""
    try:
        yield from check(*given)
    except InputError as error:
        inside, text = f"{folder.root}{os.sep}", str(error)
        if text.startswith(inside):
            path, _, text = text.removeprefix(inside).partition(": ")
            if at := re.fullmatch(r"(.+):(\d+)", path):
                path, text = at[1], f"line {at[2]}: {text}"
        yield Finding(path, text)
    except Exception as error:  # a library may raise anything for a damaged file
        yield Finding(path, f"cannot be checked ({type(error).__name__}: {line(error)})")


def run_folders(runs: Iterable[tuple[str, str, int]]) -> list[str]:
    """The directories of runs, below that of all runs."""
    return [f"{folder_name(env)}/{selector}/{seed}" for env, selector, seed in runs]


def listed(names: list[str]) -> str:
    """The first three names, and the number of others."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def files(folder: Folder) -> Findings:
    """List the regular files; report anything that is neither a file nor a folder."""
    errors: list[OSError] = []
    for directory, folders, names in os.walk(folder.root, onerror=errors.append):
        for name in (*names, *folders):
            path = os.path.join(directory, name)
            relative, mode = os.path.relpath(path, folder.root), os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                folder.files.add(relative)
            elif stat.S_ISLNK(mode):
                yield Finding(relative, "a symbolic link; replace it with the file it points to")
            elif not stat.S_ISDIR(mode):
                yield Finding(relative, "neither a file nor a folder; remove it")
    for error in errors:
        path = os.path.relpath(error.filename, folder.root)
        yield Finding(path, f"cannot be listed ({error.strerror}); make it readable")


def config(folder: Folder) -> Findings:
    """Read the stored config, which holds every default, so loading it must not change it."""
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
        yield Finding(
            CONFIG, f"is of the study {study['study']}, which is not the name of this folder", NOTE
        )


def _with_paths(stored: dict[str, Any], path: Path) -> dict[str, Any]:
    """The config, with imported files also looked for from where the study was made."""
    imported = stored.get("imported")
    if not isinstance(imported, Mapping):
        return stored
    home = path.resolve().parent.parent.parent
    found = {}
    for name, source in imported.items():
        files = source.get("files") if isinstance(source, Mapping) else None
        if isinstance(files, list) and all(isinstance(file, str) for file in files):
            own = [p if matching(p := str(home / file), name) else file for file in files]
            source = {**source, "files": own}
        found[name] = source
    return stored | {"imported": found}


def leftovers(folder: Folder) -> Findings:
    """Files that do not belong to the study."""
    known = {CONFIG, RECORD, PRECISION, *(folder.record["artefacts"] if folder.record else ())}
    runs = set(run_folders(study_runs(folder.study))) if folder.study else None
    left_out = set(run_folders(excluded(folder.study))) if folder.study else set()
    for name in sorted(folder.files - known):
        top, *rest = name.split("/")
        if top == "runs" and len(rest) > 3:
            run = "/".join(rest[:3])
            message = EXCLUDED if run in left_out else FOREIGN
            if runs is None or run in runs:
                message = _in_run(rest[3])
            name = f"runs/{run}" if message in (EXCLUDED, FOREIGN) else name
        elif top == "sweep" and folder.study and folder.study.sweep:
            message = _in_sweep(folder.study, rest)
        elif rest and rest[-1].startswith("."):
            message = HALF_WRITTEN
        elif top in ("logs", "site") or (top in MADE and not folder.record):
            message = ""
        elif name == "report.html":
            message = f"written after {RECORD}, which does not cover it"
        else:
            message = "not a file of this study"
        if message:
            yield Finding(name, message, NOTE)


def _in_run(name: str) -> str:
    """The finding about a file or folder in a run's directory; none if it belongs there."""
    if name == CHECKPOINT:
        return "checkpoint of a run that is going on or was killed; training it goes on from there"
    if name == LOCK:
        return "lock of a run that is going on or was killed"
    if name in (*BESIDE, *FORMER, *result_files(asks=True)):
        return ""
    return HALF_WRITTEN if name.startswith(".") else "not a file of a run"


def _in_sweep(study: Study, names: list[str]) -> str:
    """The finding about a file below `sweep/`; none if it belongs there."""
    assert study.sweep is not None
    if names[-1].startswith("."):
        return _in_run(names[-1])
    if len(names) == 1 or names[0] in ("_baselines", "tuned"):
        return ""
    planned = {stage.name: stage for stage in stages(study.sweep)}
    stage = planned.get(names[1].removesuffix(".json"))
    if names[0] not in study.selectors or stage is None:
        return "of other trials than the sweep has now; nothing uses it"
    if len(names) == 2:
        return ""
    trials = [stage.folder(slot) for slot in range(stage.size)]
    if names[2] not in trials or len(names) != 6:
        return "of other trials than the sweep has now; nothing uses it"
    return _in_run(names[5])
