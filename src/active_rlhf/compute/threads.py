"""One thread, in which results do not depend on how sums are split."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits

from active_rlhf.compute.compilation import prepare


@contextmanager
def single_threaded() -> Iterator[None]:
    """What runs compute in: one thread, however many cores there are."""
    prepare()  # before threads are limited, so that the limit applies to all it loads
    with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"):  # see finite.py
        yield
