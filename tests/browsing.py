"""A real browser for tests of pages: Debian's chromium, driven by playwright, without a network."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path(os.environ.get("ACTIVE_RLHF_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
]


@contextmanager
def browser() -> Iterator[Any]:
    """The browser; skips the test where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: pages are not looked at in a browser"
    )
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}: install chromium, or set ACTIVE_RLHF_CHROMIUM to its path")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield launched
        launched.close()


@contextmanager
def page_of(chromium: Any, file: Path, **context: Any) -> Iterator[Any]:
    """A page of a file. It fails if a script fails, or if the page asks for anything else."""
    opened = chromium.new_context(viewport={"width": 900, "height": 700}, **context)
    page = opened.new_page()
    faults: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    yield page
    assert (faults, asked) == ([], [file.as_uri()])
    opened.close()
