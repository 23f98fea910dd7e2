"""Servers of the page."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from active_rlhf.cli.serving import serving
from active_rlhf.labelling.runs import Runs
from active_rlhf.labelling.server import application


@pytest.fixture
def server() -> Iterator[Callable[..., int]]:
    """Serves a run's directory from a thread; gives the port."""
    with ExitStack() as served:

        def begin(run: Path, token: str | None = None) -> int:
            app = application(Runs(lambda: [run]), token)
            return served.enter_context(serving(app, "127.0.0.1", 0))

        yield begin
