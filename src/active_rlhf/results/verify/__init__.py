"""Whether a results folder is complete, consistent and untouched, and its config reproducible.

Two manifests hold the hashes of all files as they were made: `provenance.json`, and each run's
`run.json` for the files of the run. Whatever follows from something else is computed again: specs
from the config, exports from runs, statistics and findings from exports. For figures, tables and
pages, their mark is checked. A folder may be damaged in any way: a file that cannot be read is a
finding.
"""

from pathlib import Path

from active_rlhf.errors import InputError
from active_rlhf.results.provenance import CONFIG, RECORD
from active_rlhf.results.verify.folder import (
    NOTE,
    PROBLEM,
    WARNING,
    Finding,
    Folder,
    config,
    files,
    guarded,
    leftovers,
)
from active_rlhf.results.verify.manifests import analysis, marks, probe_sets, record, runs
from active_rlhf.results.verify.recomputed import exports, statistics
from active_rlhf.results.verify.sweep import sweep

__all__ = ["NOTE", "PROBLEM", "WARNING", "Finding", "verify"]


def verify(root: Path) -> list[Finding]:
    """What is wrong (PROBLEM), doubtful (WARNING) or worth knowing (NOTE) about a folder.

    Raises InputError if there is no such folder or it holds no study.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name that of a study, such as results/demo")
    if not any((root / name).exists() for name in (CONFIG, RECORD, "runs")):
        raise InputError(f"{root}: holds no study (none of {CONFIG}, {RECORD}, runs/)")
    folder = Folder(root)
    for place, check in (
        *(("", files), (CONFIG, config), (RECORD, record)),
        *((RECORD, analysis), (RECORD, marks)),
        *(("probes", probe_sets), ("runs", runs)),
        ("sweep", sweep),
        *(("exports", exports), ("statistics", statistics), ("", leftovers)),
    ):
        folder.found += guarded(folder, place, check, folder)
    return list(dict.fromkeys(folder.found))
