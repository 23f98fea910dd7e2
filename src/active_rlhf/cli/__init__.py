"""The command `active-rlhf`."""

from active_rlhf.cli.main import main

__all__ = ["main"]
