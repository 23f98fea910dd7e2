"""Errors inside a part name its file and line."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from active_rlhf.errors import InputError


class PartError(InputError):
    """A part failed or returned something unusable; `account` is Python's traceback."""

    def __init__(self, message: str, account: str):
        super().__init__(message)
        self.account = account


@contextmanager
def blamed_on(what: str, file: Path) -> Iterator[None]:
    """Turn any exception inside into a PartError that names `what`, its file and the line.

    An InputError passes through: it already says what is wrong.
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(file)]
        if isinstance(error, SyntaxError) and error.filename == str(file):
            lines.append(error.lineno)
        where = f"{file}, line {lines[-1]}" if lines else str(file)
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        said = f"{type(error).__name__}: {text}".removesuffix(": ")
        raise PartError(f"{what} ({where}): {said}", traceback.format_exc()) from error


class Blamed:
    """Wraps an object of a part, so that failures of its methods name the part."""

    def __init__(self, inner: Any, what: str, file: Path):
        self._inner, self._what, self._file = inner, what, file

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def call(*given: Any, **named: Any) -> Any:
            with blamed_on(self._what, self._file):
                return value(*given, **named)

        return call
