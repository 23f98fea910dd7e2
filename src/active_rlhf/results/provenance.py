"""A record of what a study's files were made from.

The record, `provenance.json`, holds the SHA-256 of every file and the files it was made from, down
to the runs; the SHA-256 of every run's run.json (which holds those of the run's files), its code
fingerprint, its packages and, if it started from the policy of another run, which that was; and the
config, code and packages of the analysis. It contains no times and no other paths outside the
study, so the same files give the same record.
"""

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from active_rlhf.errors import InputError, line
from active_rlhf.files import atomic, sha256
from active_rlhf.results.imports import digest as digest_of_files
from active_rlhf.results.imports import shown

PACKAGE = Path(__file__).parents[1]
RECORD, CONFIG = "provenance.json", "config.yaml"
SOURCES = (".jinja", ".py", ".rst", ".smk", ".yaml")
_PACKAGES = [
    "active-rlhf",
    "jinja2",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "snakemake",
]


class ProvenanceError(InputError):
    """A record is missing or damaged, or does not list a file; the message is one line."""


# --- the record ---------------------------------------------------------------------------------


def write_record(
    study: str,
    runs: Iterable[str],
    imported: Mapping[str, Mapping[str, Any]],
    made: Mapping[str, Sequence[str]],
    scripts: Mapping[str, str],
    code: Mapping[str, Mapping[str, Any]],
    results: Path,
    workflow: Path,
) -> None:
    """Write `provenance.json` of a finished study.

    runs: `<environment>/<selector>/<seed>` of each; imported: environment -> what the study says of
    files made elsewhere; made: every file of the study, relative to `results`, and what it was made
    from: other such files, `runs/<environment>` or `imported/<environment>`. scripts: what made
    each of them, if a script did; code: the code of each script, as `sources.code_used` gives it.
    workflow: the folder of the rules.
    """
    recorded, versions = {}, []
    for name in runs:
        path = results / "runs" / name / "run.json"
        result = json.loads(path.read_text(encoding="utf-8"))
        if result.get("versions") not in versions:
            versions.append(result.get("versions"))
        recorded[name] = {
            "sha256": sha256(path),
            "code": result.get("code"),
            "versions": versions.index(result.get("versions")),
            **{key: result[key] for key in ("start_from",) if key in result},
        }
    content = {
        "study": study,
        "package": {"sha256": _sources(PACKAGE), **commit()},
        "workflow": {"sha256": _sources(workflow)},
        "versions": {"python": platform.python_version()} | {p: version(p) for p in _PACKAGES},
        "runs": recorded,
        "versions_of_runs": versions,
        "imported": {
            name: {"path": shown(source), "sha256": digest_of_files(name, source)}
            for name, source in imported.items()
        },
        "code": code,
        "artefacts": {
            name: {"sha256": sha256(results / name), "inputs": list(inputs)}
            | ({"script": scripts[name]} if name in scripts else {})
            for name, inputs in made.items()
        },
    }
    with atomic(results / RECORD) as path:
        text = json.dumps(content | {"sha256": digest(content)}, indent=1, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")


def digest(content: Mapping[str, Any]) -> str:
    """The hash of a record, over all of it except this hash."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_record(results: Path) -> dict[str, Any]:
    """The record of a results folder; raises ProvenanceError unless it is whole and unchanged."""
    path = results / RECORD
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(content, dict) and content.get("sha256") == digest(content)
    except FileNotFoundError:
        raise ProvenanceError(
            f"{path}: missing; snakemake writes it when a study is finished"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ProvenanceError(f"{path}: not readable as JSON ({line(error)}); {AGAIN}") from None
    if not whole:
        raise ProvenanceError(f"{path}: changed since it was written; {AGAIN}")
    return content


AGAIN = "delete it and let snakemake make it again"


def trace(path: Path) -> dict[str, Any]:
    """The record's entry for a file of a study: everything it was made from, down to the runs.

    Raises ProvenanceError if the file is in no results folder, or the record does not list it.
    """
    whole = path.resolve()
    results = next((p for p in whole.parents if (p / RECORD).is_file()), None)
    if results is None:
        raise ProvenanceError(f"{path}: is in no results folder that has a {RECORD}")
    record, name = read_record(results), whole.relative_to(results).as_posix()
    if name not in record["artefacts"]:
        raise ProvenanceError(f"{path}: is not listed in {results / RECORD}")
    artefacts = record["artefacts"]
    inputs: dict[str, None] = {}  # in the order found, nearest first
    found = [name]
    while found:
        further = artefacts[found.pop(0)]["inputs"]
        found += [item for item in further if item in artefacts and item not in inputs]
        inputs |= dict.fromkeys(further)
    versions = record["versions_of_runs"]
    return {
        "file": name,
        "sha256": artefacts[name]["sha256"],
        "unchanged": sha256(whole) == artefacts[name]["sha256"],
        "study": record["study"],
        "config": artefacts[CONFIG]["sha256"],
        "package": record["package"],
        "workflow": record["workflow"],
        "versions": record["versions"],
        "made from": {item: artefacts[item]["sha256"] for item in inputs if item in artefacts},
        "imported": {k: v for k, v in record["imported"].items() if f"imported/{k}" in inputs},
        "runs": {
            run: entry | {"versions": versions[entry["versions"]]}
            for run, entry in record["runs"].items()
            if f"runs/{run.split('/')[0]}" in inputs
        },
    }


def _sources(folder: Path) -> str:
    """One hash over the names and contents of a folder's files."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in SOURCES and path.is_file())
    content = "\n".join(f"{path.relative_to(folder)} {sha256(path)}" for path in files)
    return hashlib.sha256(content.encode()).hexdigest()


def commit() -> dict[str, Any]:
    """The package's git commit, and whether it was edited since; empty outside git."""
    try:
        if not _git("ls-files", "__init__.py"):
            return {}
        return {"commit": _git("rev-parse", "HEAD"), "modified": bool(_git("status", "-s", "."))}
    except (OSError, subprocess.CalledProcessError):  # no git here, or no repository
        return {}


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=True)
    return done.stdout.strip()
