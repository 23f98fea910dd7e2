"""What a script prints, and why it failed, goes to the log of its rule."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from active_rlhf.errors import InputError, explained


@contextmanager
def logged(path: str) -> Iterator[None]:
    with open(path, "w") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            yield
        except Exception as error:
            known = isinstance(error, InputError | OSError)  # the message says what and where
            said = f"error: {explained(error)}\n" if known else traceback.format_exc()
            try:
                print(said, end="", flush=True)
            except OSError:  # the log is on a full disk
                sys.__stderr__.write(said)
                os.dup2(os.open(os.devnull, os.O_WRONLY), log.fileno())
            sys.exit(1)
