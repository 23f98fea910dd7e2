"""Files compared with their records: in provenance.json, run.json or their own mark."""

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from active_rlhf.files import folder_name, result_files, sha256
from active_rlhf.results.collect import REMEDY, read_result, require_probe
from active_rlhf.results.imports import digest, shown
from active_rlhf.results.marks import MARKED, combined, marked_inputs
from active_rlhf.results.provenance import CONFIG, RECORD, read_record
from active_rlhf.results.sources import hash_of
from active_rlhf.results.verify.consistency import faults
from active_rlhf.results.verify.folder import (
    MISSING,
    NOTE,
    STALE,
    WARNING,
    Finding,
    Findings,
    Folder,
    guarded,
    listed,
    run_folders,
)
from active_rlhf.run.identity import PACKAGE, code_fingerprint, probe_fingerprint, unhashed
from active_rlhf.run.machine import other_versions
from active_rlhf.run.syntax import read
from active_rlhf.study.loading import resolve_run
from active_rlhf.study.matrix import study_runs
from active_rlhf.study.probes import asks, probe_name, probes
from active_rlhf.study.settings import Spec


def untouched(folder: Folder, hashes: Mapping[str, Any], manifest: str, remedy: str) -> Findings:
    """Files that are missing, or not what a manifest says."""
    for name, known in hashes.items():
        if name not in folder.files:
            yield Finding(name, f"missing; {remedy}")
        elif sha256(folder.root / name) != known:
            yield Finding(
                name, f"changed since it was made ({manifest} has another hash); {remedy}"
            )


def record(folder: Folder) -> Findings:
    """The record, and every file that it lists."""
    if RECORD not in folder.files:
        yield Finding(RECORD, MISSING)
        return
    folder.record = record = read_record(folder.root)
    hashes = {name: entry["sha256"] for name, entry in record["artefacts"].items()}
    yield from untouched(folder, hashes, RECORD, STALE)
    runs = {f"runs/{name}/run.json": entry["sha256"] for name, entry in record["runs"].items()}
    there = {name: known for name, known in runs.items() if name in folder.files}
    yield from untouched(folder, there, RECORD, REMEDY)
    if folder.study is None:
        return
    for name, imported in (folder.study.imported or {}).items():
        source = imported.as_dict()
        if record["imported"].get(name, {}).get("sha256") != digest(name, source):
            said = f"{shown(source)} has changed since then; let snakemake analyse it again"
            yield Finding(RECORD, said)
    names = set(run_folders(study_runs(folder.study)))
    if record["study"] != folder.study.study or record["runs"].keys() != names:
        yield Finding(RECORD, f"is not of the runs in {CONFIG}; {STALE}")


def analysis(folder: Folder) -> Findings:
    """Files that were made by other code than is installed, by the hashes in the record.

    Scripts of the workflow are compared where it lies beside the package, as in its repository.
    """
    record = folder.record or {"code": {}, "artefacts": {}}
    scripts = PACKAGE.parents[1] / "workflow" / "scripts"
    other = set()
    for name, known in record.get("code", {}).items():
        script = scripts / name
        edited = script.is_file() and read(script).digest != known["script"]
        if edited or hash_of(known["imports"]) != known["modules"]:
            other.add(name)
    made = [name for name, entry in record["artefacts"].items() if entry.get("script") in other]
    if made:
        yield Finding(
            RECORD,
            f"{len(made)} of {len(record['artefacts'])} files were made by other code than is "
            f"installed ({listed(made)}); snakemake can make them again",
            WARNING,
        )


def marks(folder: Folder) -> Findings:
    """Figures, tables and pages carry a hash of what they were made from."""
    artefacts = folder.record["artefacts"] if folder.record else {}
    for name, entry in artefacts.items():
        if name in folder.files and name.endswith(MARKED):
            inputs = entry["inputs"]
            wanted = combined(artefacts[item]["sha256"] for item in inputs)[:16]
            if marked_inputs(folder.root / name) != {wanted}:
                yield Finding(name, f"its mark says it was not made from {listed(inputs)}; {STALE}")


def probe_sets(folder: Folder) -> Findings:
    """Every probe set of the config: that it is there, of its spec, and as its record says."""
    for name, spec in (probes(folder.study) if folder.study else {}).items():
        place, record = f"probes/{name}.npz", f"probes/{name}.json"
        if not folder.files.issuperset((place, record)):
            yield Finding(place, MISSING)
            continue
        made = json.loads((folder.root / record).read_text(encoding="utf-8"))
        if made["spec"] != spec.as_dict():
            yield Finding(record, f"is of another probe set than the config's; {STALE}")
        yield from untouched(folder, {place: made["sha256"]}, record, STALE)
        if made["code"] != probe_fingerprint(spec):
            said = "was made by other code than is installed; snakemake can make it again"
            yield Finding(place, said, WARNING)


def runs(folder: Folder) -> Findings:
    """Every run of the config, and how they differ from each other and from the current code."""
    study = folder.study
    cells, libraries, versions = Counter[str](), Counter[str](), Counter[str]()
    if study is None:
        return

    @cache
    def code(environment: str, selector: str) -> str:
        return code_fingerprint(resolve_run(study, environment, selector, study.seeds[0]))

    runs = study_runs(study)
    specs = (resolve_run(study, *cell, study.seeds[0]) for cell in {run[:2]: None for run in runs})
    for said in dict.fromkeys(said for spec in specs for said in unhashed(spec)):
        yield Finding("runs", said, NOTE)
    for environment, selector, seed in runs:
        name = f"runs/{folder_name(environment)}/{selector}/{seed}"
        spec = resolve_run(study, environment, selector, seed)
        results: list[dict[str, Any]] = []
        yield from guarded(folder, name, _run, folder, name, spec, results)
        for result in results:
            if result.get("code") != code(environment, selector):
                cells[f"{environment} {selector}"] += 1
            versions[json.dumps(result.get("versions"), sort_keys=True)] += 1
            if other := other_versions(result.get("versions")):
                libraries[", ".join(other)] += 1
    if cells:
        yield Finding(
            "runs",
            f"{cells.total()} of {len(runs)} were made by other training code than is installed "
            f"({listed(list(cells))}); {RECORD} has its hashes; snakemake can train them again",
            WARNING,
        )
    if libraries:
        yield Finding(
            "runs",
            f"{libraries.total()} of {len(runs)} were made with other libraries than are installed "
            f"({listed(list(libraries))}); snakemake can train them again",
            WARNING,
        )
    if len(versions) > 1:
        yield Finding("runs", f"made with different versions: {_differing(versions)}", WARNING)


def _run(folder: Folder, name: str, spec: Spec, results: list[Any]) -> Findings:
    """One run; its run.json is appended to `results` if it is of this spec."""
    path, copy = f"{name}/run.json", f"{name}/finished.json"
    if path not in folder.files:
        yield Finding(name, "the run is not complete (it has no run.json); let snakemake finish it")
        return
    result = read_result(folder.root / name, spec.as_dict())
    results.append(result)
    hashes = result.get("files")
    if isinstance(hashes, dict):
        yield from untouched(
            folder, {f"{name}/{file}": known for file, known in hashes.items()}, "run.json", REMEDY
        )
    recorded = {Path(file).stem for file in hashes} if isinstance(hashes, dict) else set()
    files = result_files(spec.labels is not None)
    unknown = [file for file in files if Path(file).stem not in recorded]
    if unknown:
        yield Finding(path, f"has no hashes of the run's {listed(unknown)}; {REMEDY}")
    read = [file for file in files if file.endswith((".csv", ".npz"))]
    if folder.files.issuperset(f"{name}/{file}" for file in read):
        for file, fault in faults(folder.root / name, spec, result):
            yield Finding(f"{name}/{file}", f"{fault}; {REMEDY}")
    if copy not in folder.files:
        yield Finding(copy, "missing; it is needed only if run.json is lost", NOTE)
    elif sha256(folder.root / copy) != sha256(folder.root / path):
        yield Finding(copy, f"is not a copy of run.json; {REMEDY}")
    if asks(spec.method) and folder.study:
        probe = f"probes/{probe_name(folder.study, spec.environment, spec.method)}.npz"
        if probe in folder.files:
            require_probe(folder.root / name, result, sha256(folder.root / probe))


def _differing(versions: Counter[str]) -> str:
    """'numpy 2.4.6 (23 runs), 2.4.5 (1 runs); ...': the packages whose versions differ."""
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
