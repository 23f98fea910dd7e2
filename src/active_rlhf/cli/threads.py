"""One thread for numerical libraries."""

import os

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def one_thread() -> None:
    """Keep numerical libraries that are loaded after this from starting several threads.

    A run uses one thread anyway (training sees to that); this avoids idle ones.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
