"""One thread for numerical libraries."""

import os

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def one_thread() -> None:
    """Keep numerical libraries that are loaded from here on from starting more threads than one.

    A run is one thread by definition (training sees to that); this spares idle ones.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
