"""The runs that people can answer to: those of a study, as they begin, or a single one."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from active_rlhf.labelling.desk import Desk, Given, Recorded, Showing
from active_rlhf.labelling.queue import FILE, QueueError, Refused

SILENT_AFTER = 60.0  # seconds without a sign of life, after which a run counts as stopped
LOOK_EVERY = 0.5  # seconds for which what was found out about runs is good enough


class Run:
    """The run in a directory, as far as people are concerned.

    key: names it to browsers; the same whenever it is served, and no path.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        self._identity = self._found()
        self._desk = Desk(folder)
        self._state: dict[str, Any] = {}
        self._looked = 0.0

    def _found(self) -> tuple[int, int]:
        status = (self.folder / FILE).stat()
        return status.st_dev, status.st_ino

    @property
    def desk(self) -> Desk:
        """The desk of the queue that is there now: somebody may have begun the run afresh.

        Raises OSError or QueueError if there is none.
        """
        if (found := self._found()) != self._identity:
            self._desk, self._identity = Desk(self.folder), found
        return self._desk

    def record_all(self, given: Iterable[tuple[str, Given]]) -> list[Recorded | Refused]:
        """See `Desk.record_all`."""
        return self.desk.record_all(given)

    def state(self) -> dict[str, Any]:
        """What a page says about the run, at most LOOK_EVERY seconds old.

        doing: beginning, training, waiting (with `waiting`, for what), stopped or finished; and
        environment, seed, question, budget (labels in all), asked, answered, taken, oldest (when
        the oldest open query was asked), step, total_steps, last_return, and labels learned from.
        """
        now = time.monotonic()
        if not self._state or now - self._looked > LOOK_EVERY:
            self._state, self._looked = self._look(), now
        return self._state

    def _look(self) -> dict[str, Any]:
        desk, said = self.desk, _json(self.folder / "progress.json")
        about = desk.about()
        shown = {key: about.get(key) for key in ("environment", "seed", "question", "budget")}
        reported = {key: said.get(key) for key in ("step", "total_steps", "labels", "last_return")}
        state: dict[str, Any] = {"run": self.key, **shown, **reported, **desk.progress()}
        state |= {"oldest": desk.oldest(), "waiting": None}
        if said.get("status") == "complete" or (self.folder / "run.json").exists():
            state["doing"] = "finished"
        elif not said:
            state["doing"] = "beginning"
        elif time.time() - said.get("updated", 0) > SILENT_AFTER:
            state["doing"] = "stopped"
        elif said.get("waiting"):
            state |= {"doing": "waiting", "waiting": said["waiting"]}
        else:
            state["doing"] = "training"
        return state


class Runs:
    """All runs that are served, by key. They are looked for in `folders()` now and then."""

    def __init__(self, folders: Callable[[], Iterable[Path]]):
        self._folders = folders
        self._by_folder: dict[Path, Run] = {}
        self._lock, self._looked = threading.Lock(), -LOOK_EVERY

    def all(self) -> list[Run]:
        """The runs that have a queue now, in the order in which they were found."""
        now = time.monotonic()
        with self._lock:
            if now - self._looked > LOOK_EVERY:
                self._looked = now
                for folder in self._folders():
                    if folder not in self._by_folder:
                        with suppress(OSError, QueueError):  # perhaps it is just being made
                            self._by_folder[folder] = Run(folder)
            return [run for run in self._by_folder.values() if (run.folder / FILE).is_file()]

    def get(self, key: str) -> Run | None:
        return next((run for run in self.all() if run.key == key), None)

    def next(self, annotator: str, count: int) -> list[tuple[Run, Showing]]:
        """What a person has on their screen, and more up to `count` showings in all.

        A run that waits comes before one that does not, then the one whose open queries are the
        oldest. So a session is answered to its end before another run's begins, and people change
        tasks rarely. Practice is for each environment once.
        """
        runs = [run for run in self.all() if run.state()["doing"] != "finished"]
        runs.sort(key=_urgency)
        held = {run: run.desk.held(annotator) for run in runs}
        left = count - sum(map(len, held.values()))
        for run in runs:
            if left <= 0:
                break
            environment = run.state()["environment"]
            practised = any(
                other.desk.practised(annotator)
                for other in self.all()
                if other.state()["environment"] == environment
            )
            found = run.desk.next(annotator, len(held[run]) + left, practised)
            left -= len(found) - len(held[run])
            held[run] = found
        return [(run, showing) for run in runs for showing in held[run]]


def in_study(results: Path) -> Callable[[], Iterable[Path]]:
    """The run directories of a study, for Runs."""
    return lambda: sorted(path.parent for path in results.glob(f"runs/*/*/*/{FILE}"))


def _urgency(run: Run) -> tuple[bool, float]:
    state = run.state()
    return state["doing"] != "waiting", state["oldest"] or float("inf")


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    except (OSError, ValueError):
        return {}
