"""A person at the page, in a real browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Person:
    """What somebody at the page sees and does."""

    def __init__(self, page: Any, address: str, name: str = "Ada"):
        self.page = page
        page.goto(address)
        self.until("document.querySelector('#name[open]') || document.body.dataset.unsent")
        if page.is_visible("#name-given"):
            page.fill("#name-given", name)
            page.keyboard.press("Enter")

    def until(self, condition: str, seconds: float = 30) -> None:
        """Wait until a JavaScript expression holds; playwright's own way needs eval."""
        for _ in range(int(seconds / 0.01)):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(10)
        raise AssertionError(f"never came true: {condition}; the page says {self.text('body')}")

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    @property
    def pair(self) -> str:
        """The showing on screen, empty if there is none."""
        return str(self.page.evaluate("document.body.dataset.pair || ''"))

    def wait_for_pair(self, other_than: str = "") -> str:
        self.until(f"(document.body.dataset.pair || {other_than!r}) !== {other_than!r}")
        self.page.wait_for_timeout(210)  # a second press would be part of the first
        return self.pair

    def look_again(self) -> None:
        """Have the page ask the server now, as when somebody comes back to it."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def saved(self) -> None:
        """Wait until the server has everything."""
        self.until("document.body.dataset.unsent === '0'")

    def moved(self) -> tuple[float, float]:
        """How far the robots get in both clips, in metres, by the films' data."""
        code = "player.clips.map((c) => c.path[3 * (c.frames - 1)] - c.path[0])"
        left, right = self.page.evaluate(code)
        return left, right

    def press(self, key: str) -> str:
        """Answer what is on screen, until that has gone; returns its showing."""
        now = self.wait_for_pair()
        self.page.keyboard.press(key)
        self.until(f"document.body.dataset.pair !== {now!r}")
        return now


@contextmanager
def person(
    chromium: Any, port: int, name: str = "Ada", token: str = "", **context: Any
) -> Iterator[Person]:
    """Somebody at the page of a server. It fails if a script fails.

    Films stand still unless asked for: drawing them takes most of a browser's time.
    """
    opened = chromium.new_context(**{"reduced_motion": "reduce"} | context)
    page = opened.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text))
    yield Person(page, f"http://127.0.0.1:{port}/{token}", name)
    # Chromium itself logs each request that fails or is refused.
    faults = [text for text in faults if "Failed to load resource" not in text]
    assert not faults, faults
    opened.close()
