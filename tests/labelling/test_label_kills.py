"""Server, trainer and browser are killed at random moments while a person answers a run."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from asking import answers
from at_the_page import Person
from browsing import ARGUMENTS, CHROMIUM
from serving import ROOT, begin_server, free_port
from tiny_study import small

from active_rlhf.labelling.queue import FILE, table
from active_rlhf.study.loading import load_study, resolve_run

PREFERENCE = {"first": 1.0, "second": 0.0, "equal": 0.5, "skipped": np.nan}
KEYS = ("ArrowLeft", "ArrowRight", "0", "x")


def spec(labels: int, sessions: int) -> dict[str, Any]:
    """A run that takes hardly any time but that of its answers."""
    asked = {"total": labels, "initial": labels // sessions, "sessions": sessions}
    data = small(
        environments=["Reacher-v5"],
        selectors=["random"],
        total_steps=(sessions + 2) * 2 * 64,
        agent={"epochs": 1},
        labels=asked | {"segment_length": 10, "probe_pairs": 5},
        evaluation={"every": 10**6},
        teacher={"name": "human", "practice": 0}
        | {"checks": dict.fromkeys(("gold", "repeat", "mirror"), 0)},
    )
    return resolve_run(load_study("small.yaml", data=data), "Reacher-v5", "random", 1).as_dict()


class Trainer:
    def __init__(self, folder: Path, spec: dict[str, Any]):
        self.run, self._spec = folder / "run", folder / "spec.json"
        self._spec.write_text(json.dumps(spec))
        self._log = folder / "trainer.log"
        self.begin()

    def begin(self) -> None:
        train = [sys.executable, "-m", "active_rlhf.cli", "train", "--spec", str(self._spec)]
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [*train, "--out", str(self.run), "--checkpoint-every", "0.2"],
                env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def revive(self) -> None:
        if self.process.poll() not in (None, 0):
            assert self.process.returncode == -signal.SIGKILL, self._log.read_text()
            self.begin()


class Server:
    def __init__(self, run: Path):
        self.run, self.port = run, free_port()
        run.mkdir()
        (run / "progress.json").write_text("{}")  # as a run that begins
        self.begin()

    def begin(self) -> None:
        self.process = begin_server(self.run, self.port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def revive(self) -> None:
        if self.process.poll() is not None:
            self.begin()


class Browser:
    """A browser with a person in front of it, who knows what they said."""

    def __init__(self, folder: Path, port: int, playwright: Any):
        self._profile, self._port, self._playwright = folder / "profile", port, playwright
        self.pressed: list[str] = []
        self.sure: set[tuple[str, str]] = set()  # what the page said it has kept or sent
        self._unsure: list[tuple[str, str]] = []
        self.begin()

    def begin(self) -> None:
        self._context = self._playwright.chromium.launch_persistent_context(
            str(self._profile),
            executable_path=str(CHROMIUM),
            args=ARGUMENTS,
            reduced_motion="reduce",
        )
        self.person = Person(self._context.pages[0], f"http://127.0.0.1:{self._port}/")
        self.alive = True

    def _process(self) -> psutil.Process:
        own = f"--user-data-dir={self._profile}"
        return next(
            process
            for process in psutil.process_iter(["cmdline"])
            if own in (line := process.info["cmdline"] or [])
            and not any(argument.startswith("--type=") for argument in line)
        )

    def kill(self) -> None:
        self.alive = False
        process = self._process()
        children = process.children(recursive=True)
        process.kill()
        psutil.wait_procs([process, *children], 20)

    def revive(self) -> None:
        if not self.alive:
            with suppress(Exception):
                self._context.close()
            self._unsure.clear()
            for _ in range(3):
                with suppress(AssertionError):  # the page does not come while no server is there
                    return self.begin()

    def answer(self, key: str) -> None:
        """Answer what is on screen, if anything is."""
        page = self.person.page
        state = page.evaluate("({...document.body.dataset})")
        if pair := state.get("pair"):
            page.wait_for_timeout(210)
            self.pressed.append(pair)  # what comes of it may not be known
            page.keyboard.press(key)
            now = page.evaluate("({...document.body.dataset})")
            if now["pair"] != pair:
                self._unsure.append((pair, key))
                state = now
        else:
            page.wait_for_timeout(50)
        if state.get("unsent") == "0" or state.get("kept") == state.get("unsent"):
            self.sure.update(self._unsure)
            self._unsure.clear()

    def close(self) -> None:
        self._context.close()


MANY = pytest.mark.skipif(
    "ACTIVE_RLHF_KILLS" not in os.environ,
    reason="50 kills of each process take 12 minutes: set ACTIVE_RLHF_KILLS to try them",
)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=MANY)])
def test_kills_lose_no_answer_double_none_and_ask_nothing_twice(kills, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}: install chromium, or set ACTIVE_RLHF_CHROMIUM to its path")
    chance = random.Random(kills)
    labels = 8 * kills
    server = Server(tmp_path / "run")
    trainer = Trainer(tmp_path, spec(labels, 2 * kills))
    with playwright.sync_playwright() as started:
        browser = Browser(tmp_path, server.port, started)
        processes = (server, trainer, browser)
        victims = [victim for victim in processes for _ in range(kills)]
        chance.shuffle(victims)
        killed: Counter[Any] = Counter()
        deadline = time.monotonic() + 60 + 40 * kills
        while victims or trainer.process.poll() != 0:
            assert time.monotonic() < deadline
            killing = None
            if victims and (trainer.process.poll() is None or victims[-1] is not trainer):
                victim = victims.pop()
                killed[victim] += 1
                killing = threading.Timer(chance.uniform(0, 0.6), victim.kill)
                killing.start()
            elif trainer.process.poll() == 0:  # it was faster than the kills
                victims = [one for one in victims if one is not trainer]
            with suppress(Exception if killing else ()):  # a browser that is killed in between
                for _ in range(chance.randrange(1, 4)):
                    browser.answer(chance.choice(KEYS))
            if killing:
                killing.join()
            for one in processes:
                one.revive()
        browser.person.saved()
        browser.close()
    server.kill()
    print(f"kills of server, trainer and browser: {[killed[one] for one in processes]}")
    assert killed[server] == killed[browser] == kills and killed[trainer] > kills / 2
    assert len(browser.sure) > labels / 2

    found = answers(tmp_path / "run")
    given = Counter(one["showing"] for one in found)
    assert max(given.values()) == 1 and set(given) <= set(browser.pressed)
    sides = {"ArrowLeft": ("first", "second"), "ArrowRight": ("second", "first")}
    sides |= {"0": ("equal", "equal"), "x": ("skipped", "skipped")}
    said = {one["showing"]: (one["answer"], one["mirrored"]) for one in found}
    for showing, key in browser.sure:
        assert said[showing][0] == sides[key][said[showing][1]]
    queries = table(
        tmp_path / "run" / FILE, "SELECT * FROM queries WHERE purpose='query' ORDER BY ticket"
    )
    assert len({one["digest"] for one in queries}) == len(queries) == labels
    shown = table(tmp_path / "run" / FILE, "SELECT query FROM showings")
    assert max(Counter(one["query"] for one in shown).values()) == 1
    with np.load(tmp_path / "run" / "labels.npz") as ledger:
        answer_to = {one["query"]: one["answer"] for one in found}
        expected = [PREFERENCE[answer_to[one["id"]]] for one in queries]
        np.testing.assert_array_equal(ledger["preferences"], expected)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["resumed"] > 0
