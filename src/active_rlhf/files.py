"""Files: written so that a reader never meets half of one, and told apart by their content."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

# What a run leaves beside its run.json, and what one that asks for preferences leaves besides.
RUN_FILES = ("episodes.csv", "evaluations.csv", "policy.safetensors")
PREFERENCE_FILES = ("labels.npz", "reward_model.safetensors", "sessions.csv", "timings.csv")

# What is in a run's directory beside its results, until the run is complete.
CHECKPOINT, LOCK = "checkpoint", ".lock"
_UNFINISHED = "unfinished-"


@contextmanager
def atomic(path: str | Path, lasting: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it on success and removed on failure.

    The temporary name keeps the suffix, since writers such as matplotlib choose the format by it.
    The content is on the disk before its name is, so that a power cut leaves the old file or the
    new one; `lasting=False` spares that for what is written again soon.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.stem}.{_UNFINISHED}"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        if lasting:
            _flush(temporary)
        os.replace(temporary, path)
        if lasting:
            _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Have a file, or the names in a folder, written to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's content, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def result_files(asks: bool) -> list[str]:
    """The files of a finished run beside its run.json; asks: whether it asks for preferences."""
    return sorted(RUN_FILES + PREFERENCE_FILES if asks else RUN_FILES)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left in `folder`, where nothing may be writing meanwhile."""
    for path in folder.glob(f".*.{_UNFINISHED}*"):
        path.unlink()


def folder_name(environment: str) -> str:
    """An environment's id as the name of a folder or file and as a part of `exp_name`.

    What may not stand there is percent-encoded (`ALE/Pong-v5`: `ALE%2FPong-v5`), the second of two
    underscores too, which separate the parts of an `exp_name`. `environment_of` turns it back.
    """
    return re.sub(r"(?<=_)_", "%5F", quote(environment, safe=""))


def environment_of(folder: str) -> str:
    """The id that `folder_name` was given."""
    return unquote(folder)
