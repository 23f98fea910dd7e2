"""Scores, pickers and teachers are files that anybody may add: loading them, and blaming them."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from active_rlhf.errors import InputError

PACKAGE = Path(__file__).parents[1]

FILES = {
    "candidates": "selection/candidates.py",
    "score": "selection/scores/{}.py",
    "picker": "selection/pickers/{}.py",
    "teacher": "teachers/{}.py",
}


class PartError(InputError):
    """A part failed or gave what cannot be used; `account` is Python's traceback of it."""

    def __init__(self, message: str, account: str):
        super().__init__(message)
        self.account = account


def load(kind: str, attribute: str) -> dict[str, Any]:
    """The `attribute` of every file of a kind, by the file's name; PartError for one without."""
    folder = Path(FILES[kind]).parent
    package = ".".join(["active_rlhf", *folder.parts])
    parts = {}
    for module in iter_modules([str(PACKAGE / folder)]):
        with blamed(kind, module.name):
            parts[module.name] = getattr(import_module(f"{package}.{module.name}"), attribute)
    return parts


@contextmanager
def blamed(kind: str, name: str) -> Iterator[None]:
    """Turn what goes wrong inside into a PartError that names the part, its file and the line.

    An InputError passes: it says already what is wrong.
    """
    file = str(PACKAGE / FILES[kind].format(name))
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == file]
        where = f"{file}, line {lines[-1]}" if lines else file
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise PartError(f"{kind} {name} ({where}): {said}", traceback.format_exc()) from error
