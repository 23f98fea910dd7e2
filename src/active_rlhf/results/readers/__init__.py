"""Runs of others, as they are on disk: a module for each kind of file.

A reader recognises its files by their head and gives their rows under the names of `Reader.read`;
`results/imports.py` says of which run each row is, checks the values and writes the export that
everything else reads.
"""

from active_rlhf.results.readers import (
    bpref,
    evaluations,
    export,
    long,
    monitor,
    progress,
    rliable,
    tensorboard,
    wandb_history,
    wandb_panel,
)
from active_rlhf.results.readers.reader import Choices, Head, Reader

# In the order in which a file is tried; `long` takes any table whose columns it can tell.
READERS: dict[str, Reader] = {
    module.READER.name: module.READER
    for module in (
        *(tensorboard, evaluations, rliable, monitor, export, wandb_panel, wandb_history),
        *(progress, bpref, long),
    )
}

__all__ = ["READERS", "Choices", "Head", "Reader"]
