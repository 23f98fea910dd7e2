"""A browser for all tests of the page, and servers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import browser
from serving import begin_server, free_port


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as launched:
        yield launched


@pytest.fixture
def server() -> Iterator[Callable[..., int]]:
    """Starts servers of a run's directory or a study's file; gives their port."""
    processes = []

    def begin(served: Path, *options: str) -> int:
        port = free_port()
        processes.append(begin_server(served, port, *options))
        return port

    yield begin
    for process in processes:
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 0
