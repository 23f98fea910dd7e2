"""What commands and scripts say about bad input and a failing machine: a line, no traceback."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


class InputError(ValueError):
    """Something given cannot be used; the message is one line: where, what, and what would do.

    Names out of a damaged file may hold line breaks or have no end.
    """

    def __init__(self, message: str):
        line = " ".join(message.splitlines())
        super().__init__(line if len(line) <= 1000 else f"{line[:800]}...")


def line(error: BaseException) -> str:
    """An exception's message without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def explained(error: BaseException) -> str:
    """One line about an exception and, if the machine lacks something, what to do about that."""
    said = line(error)
    if isinstance(error, MemoryError):
        return f"{said}; give it more memory, or ask for less"
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        todo = "free some space" if full else "mend that"
        return f"{said}; {todo} and run the same command again: nothing finished is lost"
    return said


@contextmanager
def logged(path: str) -> Iterator[None]:
    """Print to a file meanwhile; a failure is said there, and ends the process with 1."""
    with open(path, "w") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            yield
        except Exception as error:
            if isinstance(error, InputError | OSError):  # the message says what and where
                said = f"error: {explained(error)}\n"
            else:
                import traceback

                said = traceback.format_exc()
            try:
                print(said, end="", flush=True)
            except OSError:  # the log is on a full disk
                os.write(2, said.encode())
                os.dup2(os.open(os.devnull, os.O_WRONLY), log.fileno())
            sys.exit(1)
