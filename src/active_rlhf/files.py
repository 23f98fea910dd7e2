"""Files: written so that nobody ever reads half of one, and identified by their content."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

# The files of a run beside its run.json, and the further files of a run that asks for preferences.
RUN_FILES = ("episodes.csv", "evaluations.csv", "policy.safetensors")
PREFERENCE_FILES = ("labels.npz", "reward_model.safetensors", "sessions.csv", "timings.csv")

# Further files in a run's directory until the run is complete.
CHECKPOINT, LOCK = "checkpoint", ".lock"
_UNFINISHED = "unfinished-"


@contextmanager
def atomic(path: str | Path, lasting: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it on success and removed on failure.

    The temporary name keeps the suffix, since writers such as matplotlib choose the format by it.
    The content reaches the disk before its name does, so a power cut leaves either the old file or
    the new one; `lasting=False` skips this for files that are soon written again.
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
    """Make the system write a file, or the names in a folder, to disk."""
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


def results_folder(study: str) -> Path:
    """Where the results of a study of this name lie, from the working directory."""
    return Path("results") / study


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left in `folder`; nothing may be writing there now."""
    for path in folder.glob(f".*.{_UNFINISHED}*"):
        path.unlink()


def folder_name(environment: str) -> str:
    """An environment's id as the name of a folder or file and as a part of `exp_name`.

    Characters not allowed there are percent-encoded (`ALE/Pong-v5`: `ALE%2FPong-v5`), and so is the
    second of two underscores, as these separate the parts of an `exp_name`. `environment_of`
    reverses it.
    """
    return re.sub(r"(?<=_)_", "%5F", quote(environment, safe=""))


def method_name(selector: str, variant: str | None = None) -> str:
    """What a cell of an environment is called, as folders of runs and exports are."""
    return f"{selector}@{variant}" if variant else selector


def split(name: str) -> tuple[str, str]:
    """What stands before the variant of a name, and the variant: of a method the selector, of a
    scope the environment. Either may be empty."""
    what, _, variant = name.partition("@")
    return what, variant


def environment_of(folder: str) -> str:
    """The id from which `folder_name` made this name."""
    return unquote(folder)
