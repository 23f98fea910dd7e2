"""A line in each figure, table and page that says what it was made from."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from active_rlhf.files import sha256

MARKED = (".html", ".pdf", ".pgf", ".png", ".svg", ".tex")
_MARK = re.compile(rb"active-rlhf study=\S+ inputs=([0-9a-f]{16})\b")


def mark(study: str, inputs: Iterable[str | Path], settings: str = "", code: str = "") -> str:
    """The line that a file carries: its study, and hashes of what it was made from.

    inputs: the files whose content it shows; settings: the settings that it depends on, as text;
    code: the fingerprint of the code that made it. The same three give the same line in any folder.
    """
    parts = {
        "inputs": combined(map(sha256, inputs)),
        "settings": hashlib.sha256(settings.encode()).hexdigest() if settings else "",
        "code": code,
    }
    hashes = [f"{name}={value[:16]}" for name, value in parts.items() if value]
    return " ".join([f"active-rlhf study={study}", *hashes])


def combined(hashes: Iterable[str]) -> str:
    """One hash for a set of files, independent of their names and order."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


def marked_inputs(path: Path) -> set[str]:
    """The first 16 digits of the hash of inputs, from each mark in a file; empty without a mark."""
    return {found.decode() for found in _MARK.findall(path.read_bytes())}
