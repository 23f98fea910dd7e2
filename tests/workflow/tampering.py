"""Edits of a finished study's results, and the hashes made right again after them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from active_rlhf.files import sha256
from active_rlhf.results.provenance import digest
from active_rlhf.results.verify import PROBLEM, verify

Edit = Callable[[Path, str], Any]  # of a file of the results, by its name


def problems(root: Path) -> dict[str, list[str]]:
    """The messages of all problems by path."""
    found: dict[str, list[str]] = {}
    for finding in verify(root):
        if finding.level == PROBLEM:
            found.setdefault(finding.path, []).append(finding.message)
    return found


def rehash(root: Path) -> None:
    """Make every hash right again, as somebody would who wants a change to go unnoticed."""
    for path in root.glob("runs/*/*/*/run.json"):
        result = json.loads(path.read_text())
        if result.get("files"):
            result["files"] = {name: sha256(path.parent / name) for name in result["files"]}
        path.write_text(json.dumps(result))
        path.with_name("finished.json").write_text(json.dumps(result))
    record = json.loads((root / "provenance.json").read_text())
    for name, entry in record["artefacts"].items():
        entry["sha256"] = sha256(root / name)
    for name, entry in record["runs"].items():
        entry["sha256"] = sha256(root / "runs" / name / "run.json")
    record["sha256"] = digest(record)
    (root / "provenance.json").write_text(json.dumps(record))


def table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Edit:
    return lambda root, name: change(pd.read_csv(root / name)).to_csv(root / name, index=False)


def cell(column: str, value: Any, row: int = 0) -> Edit:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return table(change)
