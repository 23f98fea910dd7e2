"""Fixtures shared by all tests."""

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import browser
from hypothesis import settings

from active_rlhf.cli.threads import one_thread

# A test process for each core is enough: threads that wait for a core burn the time of another.
one_thread()
settings.register_profile("untimed", deadline=None)  # how fast is for benchmarks/ to say
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first, that no process is left alone with one at the end; before
    them those that mostly wait for SLURM.

    What needs a trained study is slow.
    """
    for item in items:  # whose study takes a minute, whatever the test does with it
        if "trained" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    first = {"slurm": 0, "faults": 1, "workflow": 1}
    items.sort(key=lambda item: (first.get(item.path.parent.name, 2), item.path not in slow))


def pytest_collection_finish() -> None:
    """What is loaded by now stays: no garbage collection need look at it again."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what was not tested, and what this machine lacks for it."""
    reasons = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    chosen = terminalreporter.config.option.markexpr
    lines = [f"{why} (tests: {count})" for why, count in reasons.most_common()]
    lines += [f"whatever -m '{chosen}' leaves out"] if chosen else []
    terminalreporter.section("left out" if lines else "nothing was left out")
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def no_parts_left_behind() -> Iterator[None]:
    """What a test declares outside of the package is forgotten after it."""
    yield
    if registry := sys.modules.get("active_rlhf.parts.registry"):
        registry.forget_outside()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser; skips the test where there is none."""
    with browser() as launched:
        yield launched


@pytest.fixture(scope="session")
def published() -> Path:
    """Folder with the thesis's published runs and statistics; skips the test where it is absent."""
    beside = Path(__file__).resolve().parents[1] / ".." / "shared" / "thesis"
    folder = Path(os.environ.get("ACTIVE_RLHF_PUBLISHED", beside)).resolve()
    if not (folder / "runs_walker_400.csv").exists():
        pytest.skip(f"no published runs in {folder}: set ACTIVE_RLHF_PUBLISHED to their folder")
    return folder
