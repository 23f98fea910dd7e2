"""What a script prints, and why it failed, goes to the log of its rule."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def logged(path: str) -> Iterator[None]:
    with open(path, "w") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            yield
        except Exception as error:
            if type(error).__module__.startswith("active_rlhf."):
                print(f"error: {error}")  # bad data: the message says what and where
            else:
                traceback.print_exc()
            sys.exit(1)
