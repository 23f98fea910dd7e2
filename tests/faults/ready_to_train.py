"""Imported once by the process that runs are forked from, to load and compile everything."""

import os
import tempfile

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import torch.utils.tensorboard  # noqa: F401
from small_runs import spec

from active_rlhf.run.training import train

with tempfile.TemporaryDirectory() as folder:
    train(spec("Hopper-v5", "hybrid", rollouts=8), folder)
