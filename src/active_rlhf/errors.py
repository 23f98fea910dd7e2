"""What the commands say about bad input and a failing machine, in one line, not a traceback."""

import errno


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
