"""How commands and scripts report bad input and failing machines: one line, no traceback."""

import atexit
import errno
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


class InputError(ValueError):
    """Input that cannot be used; the message is one line: where, what, and what would be right.

    Names from a damaged file may hold line breaks, or be very long.
    """

    def __init__(self, message: str):
        line = " ".join(message.splitlines())
        super().__init__(line if len(line) <= 1000 else f"{line[:800]}...")


def line(error: BaseException) -> str:
    """An exception's message without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def explained(error: BaseException) -> str:
    """One line about an exception and, if the machine lacks something, what to do about it."""
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
    """Redirect output to a file; a failure is reported there, and the process exits with 1."""
    gc.set_threshold(100_000)  # else a sixth of the time of drawing goes into looking for garbage
    atexit.register(gc.freeze)  # else a tenth of a second goes into it at the end of the process
    with open(path, "w") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            yield
        except Exception as error:
            if isinstance(error, InputError | OSError):  # the message says what is wrong and where
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
