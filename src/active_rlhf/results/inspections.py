"""The file that holds the inspections of an environment's runs: reading it needs no simulator."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from active_rlhf.errors import InputError, line
from active_rlhf.files import atomic


def write_inspections(found: Mapping[str, Any], path: Path) -> None:
    """Write what `inspect_runs` found as JSON."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(found) + "\n", encoding="utf-8")


def read_inspections(paths: Iterable[str | Path]) -> list[dict[str, Any]]:
    """What was written, of each environment. Raises InputError."""
    found = []
    for path in map(Path, paths):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            data["environment"], data["states"], data["action"], data["runs"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            said = "delete it, and snakemake makes it again"
            raise InputError(f"{path}: holds no inspections ({line(error)}); {said}") from error
        found.append(data)
    return found
